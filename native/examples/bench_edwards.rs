//! Microseconds of processor time per element of ristretto255 and ed25519, the least of several runs.
//!
//!     cargo run --release --no-default-features --example bench_edwards [portable] [part of a name ...]

use std::time::Instant;

use evote_native::buffers::set_threads;
use evote_native::edwards::bulk::{self, Kind, Mode};
use evote_native::edwards::rows::{ITEM, SCALAR};

const RISTRETTO: Kind = Kind::Ristretto255;

/// Not random enough for anything but this.
struct Numbers(u64);

impl Numbers {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for byte in &mut bytes {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            *byte = (self.0 >> 56) as u8;
        }
        bytes
    }

    fn scalars(&mut self, count: usize, bits: usize) -> Vec<u8> {
        let mut scalars = self.bytes(count * SCALAR);
        for row in scalars.chunks_exact_mut(SCALAR) {
            for (k, byte) in row.iter_mut().enumerate() {
                let left = bits.saturating_sub(8 * k).min(8);
                *byte &= ((1u16 << left) - 1) as u8;
            }
        }
        scalars
    }
}

/// Seconds of processor time of this thread: other programs take none of it, though they do slow it down.
#[cfg(unix)]
fn now(_begin: Instant) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to a structure that lives here.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(not(unix))]
fn now(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64()
}

fn time(name: &str, per: usize, target: f64, mut work: impl FnMut()) {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "portable")
        .collect();
    if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
        return;
    }
    let mut best = f64::MAX;
    let begin = Instant::now();
    let mut runs = 0;
    while runs < 3 || (begin.elapsed().as_secs_f64() < 0.7 && runs < 2000) {
        let start = now(begin);
        work();
        best = best.min(now(begin) - start);
        runs += 1;
    }
    let each = best * 1e6 / per as f64;
    let beside = if target > 0.0 {
        format!("{target:8.2}{:7.2}", each / target)
    } else {
        String::new()
    };
    println!("{name:44}{each:10.3}{beside}");
}

fn main() {
    set_threads(1);
    let portable = std::env::args().any(|argument| argument == "portable");
    let mode = if portable { Mode::Portable } else { Mode::best() };
    let mut numbers = Numbers(1);
    let (many, count) = (10_000, 1024);
    let mut items = vec![0; ITEM * many];
    bulk::from_uniform(mode, RISTRETTO, &numbers.bytes(64 * many), &mut items);
    let mut encodings = vec![0; 32 * many];
    bulk::encode(mode, RISTRETTO, &items, &mut encodings);
    let mut affine = vec![0; ITEM * many];
    let mut mask = vec![0; many];
    bulk::decode(mode, RISTRETTO, &encodings, &mut affine, &mut mask);
    assert!(mask.iter().all(|&member| member == 1));
    let mut points = vec![0; 32 * many];
    let (mut prime, full) = (vec![0; ITEM * many], numbers.scalars(many, 252));
    bulk::from_uniform(mode, Kind::Ed25519, &numbers.bytes(64 * many), &mut prime);
    bulk::encode(mode, Kind::Ed25519, &prime, &mut points);
    let mut output = vec![0; ITEM * many];

    let name = if mode == Mode::Portable {
        "portable"
    } else {
        "ifma    "
    };
    println!("{name}{:>46}{:>8}{:>7}", "us", "target", "ratio");
    time("decode", count, 0.7, || {
        bulk::decode(
            mode,
            RISTRETTO,
            &encodings[..32 * count],
            &mut output[..ITEM * count],
            &mut mask[..count],
        )
    });
    time("encode", count, 0.7, || {
        bulk::encode(
            mode,
            RISTRETTO,
            &items[..ITEM * count],
            &mut encodings[..32 * count],
        )
    });
    time("encode_squares", count, 0.15, || {
        bulk::encode_squares(mode, &items[..ITEM * count], &mut encodings[..32 * count])
    });
    time("ed25519 decode, torsion checked", count, 0.0, || {
        bulk::decode(
            mode,
            Kind::Ed25519,
            &points[..32 * count],
            &mut output[..ITEM * count],
            &mut mask[..count],
        )
    });
    time("ed25519 decode_points", count, 0.0, || {
        bulk::decode_points(
            mode,
            &points[..32 * count],
            &mut output[..ITEM * count],
            &mut mask[..count],
        )
    });
    time("ed25519 encode", count, 0.0, || {
        bulk::encode(
            mode,
            Kind::Ed25519,
            &items[..ITEM * count],
            &mut encodings[..32 * count],
        )
    });
    time("from_uniform", count, 0.0, || {
        bulk::from_uniform(
            mode,
            RISTRETTO,
            &points[..64 * count],
            &mut output[..ITEM * count],
        )
    });
    time("multiply", count, 0.0, || {
        bulk::multiply(
            mode,
            &items[..ITEM * count],
            &affine[..ITEM * count],
            &mut output[..ITEM * count],
        )
    });
    time("equal", count, 0.0, || {
        bulk::equal(
            mode,
            RISTRETTO,
            &items[..ITEM * count],
            &affine[..ITEM * count],
            &mut mask[..count],
        )
    });
    time("products, 1 row", count, 0.0, || {
        bulk::products(mode, &items[..ITEM * count], &mut output[..ITEM])
    });
    time("running_products", count, 0.0, || {
        bulk::running_products(mode, &items[..ITEM * count], &mut output[..ITEM * count])
    });
    time("log_keys", count, 0.0, || {
        bulk::log_keys(mode, &items[..ITEM * count], &mut encodings[..8 * count])
    });
    let table = bulk::build_table(mode, &items[..ITEM], 253);
    time("table", 1, 0.0, || {
        bulk::build_table(mode, &items[..ITEM], 253);
    });
    time("fixed base, constant time", count, 1.0, || {
        bulk::table_powers(
            mode,
            &table,
            &full[..SCALAR * count],
            None,
            &mut output[..ITEM * count],
        )
    });
    let some = 256;
    time("variable base, constant time", some, 8.0, || {
        bulk::powers_constant_time(
            mode,
            &items[..ITEM * some],
            &full[..SCALAR * some],
            &mut output[..ITEM * some],
        )
    });
    time("powers", some, 0.0, || {
        bulk::powers(
            mode,
            &items[..ITEM * some],
            &full[..SCALAR * some],
            &mut output[..ITEM * some],
        )
    });
    let short = numbers.scalars(many, 128);
    for (size, targets) in [
        (14, [0.0; 2]),
        (100, [0.0; 2]),
        (300, [0.0; 2]),
        (1000, [0.0; 2]),
        (10_000, [0.5, 0.85]),
    ] {
        for ((exponents, bits), target) in [(&short, 128), (&full, 253)].into_iter().zip(targets) {
            let name = format!("multiexp of {size}, {bits} bits");
            time(&name, size, target, || {
                bulk::multiexp(
                    mode,
                    &affine[..ITEM * size],
                    &exponents[..SCALAR * size],
                    &mut output[..ITEM],
                )
            });
        }
    }
    let rows = 500;
    time("multiexp of 14 in rows, 253 bits", 14 * rows, 0.0, || {
        bulk::multiexp(
            mode,
            &affine[..ITEM * 14 * rows],
            &full[..SCALAR * 14 * rows],
            &mut output[..ITEM * rows],
        )
    });
    // Yes/no ballots verified together: 14 elements decoded, 4 with full exponents and 10 with weights.
    for ballots in [700, 70] {
        let size = 14 * ballots;
        let mut mixed = full[..SCALAR * size].to_vec();
        for (row, weight) in mixed
            .chunks_exact_mut(SCALAR)
            .zip(short.chunks_exact(SCALAR))
            .skip(4 * ballots)
        {
            row.copy_from_slice(weight);
        }
        let name = format!("ballot, group part, {ballots} together");
        time(&name, ballots, 22.0, || {
            let (data, items) = (&encodings[..32 * size], &mut affine[..ITEM * size]);
            bulk::decode(mode, RISTRETTO, data, items, &mut mask[..size]);
            bulk::multiexp(mode, items, &mixed, &mut output[..ITEM]);
        });
    }
    let offsets: Vec<usize> = (0..=count).map(|row| 200 * row).collect();
    let mut digests = vec![0; 64 * count];
    time("sha512_rows, 64 + 200 bytes", count, 0.0, || {
        bulk::sha512_rows(
            &items[..64 * count],
            64,
            &items[..200 * count],
            &offsets,
            &mut digests,
        )
    });
    time("embed", 64, 0.0, || {
        bulk::embed(
            mode,
            RISTRETTO,
            &points[..30 * 64],
            &mut output[..ITEM * 64],
            &mut mask[..64],
        )
    });
    time("extract", 64, 0.0, || {
        let mut blocks = [0; 30 * 64];
        let items = output[..ITEM * 64].to_vec();
        bulk::extract(mode, &items, &mut blocks, &mut mask[..64])
    });
}
