//! Microseconds an element of Z_p^* in one thread: `cargo run --release --no-default-features --example bench_modp [ifma|portable [bits]]`.
//!
//! The primes are those of RFC 3526. Every figure is the least of several runs, in time of the processor.

use std::hint::black_box;
use std::sync::Arc;

use cpu_time::ThreadTime;
use evote_native::modp::{Engine, Group, Parameters, Portable, Table};
use num_bigint::BigUint;

/// RFC 3526, sections 3 to 5: 2^n - 2^(n-64) - 1 + 2^64 ([2^(n-130) pi] + offset).
fn prime(bits: usize, offset: u32) -> BigUint {
    let arctan = |x: u32| {
        let mut power = (BigUint::from(1u32) << (bits + 64)) / x;
        let (mut positive, mut negative, mut k) = (BigUint::ZERO, BigUint::ZERO, 1u32);
        while power > BigUint::ZERO {
            *(if k % 4 == 1 { &mut positive } else { &mut negative }) += &power / k;
            (power, k) = (power / (x * x), k + 2);
        }
        positive - negative
    };
    let pi = arctan(5) * 16u32 - arctan(239) * 4u32;
    let one = BigUint::from(1u32);
    (&one << bits) - (&one << (bits - 64)) - &one + (((pi >> 194) + offset) << 64)
}

struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                self.0 as u8
            })
            .collect()
    }
}

/// What a product costs now, in microseconds: measured before and after each run, since other work slows both.
struct Clock<'a> {
    product: &'a dyn Fn() -> f64,
}

impl Clock<'_> {
    /// The least time of `runs`, for each of `count`, in microseconds and in products.
    fn time(&self, name: &str, count: usize, runs: usize, mut work: impl FnMut()) {
        let (mut least, mut least_products) = (f64::MAX, f64::MAX);
        for _ in 0..runs {
            let before = (self.product)();
            let time = measure(count, &mut work);
            let product = (before + (self.product)()) / 2.0;
            (least, least_products) = (least.min(time), least_products.min(time / product));
        }
        println!("  {name:32} {least:12.3} us {least_products:10.1} products");
    }
}

fn measure(count: usize, work: &mut impl FnMut()) -> f64 {
    let start = ThreadTime::now();
    work();
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn bench<E: Engine>(bits: usize, offset: u32) {
    println!("{bits} bits, {} lanes", E::LANES);
    let p = prime(bits, offset);
    let g = BigUint::from(2u32);
    let parameters = Parameters {
        p: p.to_u64_digits(),
        q: (&p >> 1u32).to_u64_digits(),
        g: vec![2].into_iter().chain(vec![0; bits / 64 - 1]).collect(),
        safe_prime: true,
        prime_cofactor: false,
    };
    let group = Arc::new(Group::<E>::new(parameters));
    let mut random = Random(88172645463325252);
    let width = bits / 8;
    let n = 10_000;
    let engine = E::new(&p.to_u64_digits());
    let product = || {
        let (mut x, y) = (*engine.one(), *engine.one());
        measure(200 * E::LANES, &mut || {
            (0..200).for_each(|_| engine.multiply_into(&mut x, black_box(&y)))
        })
    };
    let clock = Clock { product: &product };
    let mut x = *engine.one();
    println!(
        "  {:32} {:12.3} us",
        "product",
        (0..50).map(|_| product()).fold(f64::MAX, f64::min)
    );
    clock.time("square", 200 * E::LANES, 50, || {
        (0..200).for_each(|_| engine.square(black_box(&mut x)))
    });
    let mut numbers = random.bytes(n * width);
    numbers
        .chunks_exact_mut(width)
        .for_each(|number| number[width - 1] &= 0x7f);
    let mut items = vec![0; n * E::ROW];
    clock.time("from numbers", n, 5, || group.from_numbers(&numbers, &mut items));
    let mut back = numbers.clone();
    clock.time("to numbers", n, 5, || group.to_numbers(&items, &mut back));
    assert!(back == numbers && g < p);

    let mut out = vec![0; n * E::ROW];
    clock.time("multiply", n, 5, || group.multiply(&items, &items, &mut out));
    clock.time("invert", n, 3, || group.invert(&items, &mut out));
    clock.time("invert one", 1, 9, || {
        group.invert(&items[..E::ROW], &mut out[..E::ROW])
    });
    clock.time("products", n, 3, || drop(group.products(&items, 1)));
    clock.time("running products", n, 3, || {
        group.running_products(&items, &mut out)
    });
    let mut big = numbers.clone();
    big.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    let mut mask = vec![0; n];
    clock.time("decode, safe prime", n, 3, || {
        group.decode(&big, &mut out, &mut mask)
    });
    clock.time("encode", n, 3, || group.encode(&items, &mut back));

    // Exponents of so many bits, in the full width.
    let mut exponents = |bits: usize| -> Vec<u8> {
        let mut rows = random.bytes(n * width);
        rows.chunks_exact_mut(width).for_each(|row| {
            row[bits / 8..].fill(0);
            row[width - 1] &= 0x3f;
        });
        rows
    };
    let (e128, e256, full) = (exponents(128), exponents(256), exponents(bits));
    for (count, e, bits) in [(64, &e256, 256), (8, &full, bits - 1), (1, &full, bits - 1)] {
        clock.time(&format!("{count} powers, {bits} bits"), count, 3, || {
            group.powers_constant_time(
                &items[..count * E::ROW],
                &e[..count * width],
                bits,
                &mut out[..count * E::ROW],
            );
        });
    }
    let mut table = None;
    clock.time("table, 256 bits", 1, 1, || {
        table = Some(Table::new(group.clone(), &items[..E::ROW], 256))
    });
    let table = table.unwrap();
    clock.time("fixed base, 256 bits", 1024, 5, || {
        table.powers(&e256[..1024 * width], &mut out[..1024 * E::ROW])
    });
    let mut long = None;
    clock.time("table, full", 1, 1, || {
        long = Some(Table::new(group.clone(), &items[..E::ROW], bits))
    });
    let long = long.unwrap();
    clock.time("fixed base, full", 1024, 2, || {
        long.powers(&full[..1024 * width], &mut out[..1024 * E::ROW])
    });
    let one = &mut vec![0; E::ROW];
    for (name, e) in [("128 bits", &e128), ("256 bits", &e256), ("full", &full)] {
        for count in [10, 100, 1000, 10_000] {
            let runs = if name == "full" && count > 100 { 1 } else { 3 };
            if E::LANES == 1 && (name == "full" || count > 1000) {
                continue;
            }
            clock.time(&format!("multiexp of {count}, {name}"), count, runs, || {
                group.multiexp(&items[..count * E::ROW], &e[..count * width], 1, one);
            });
        }
    }
}

fn main() {
    evote_native::buffers::set_threads(1);
    let wanted = std::env::args()
        .nth(1)
        .unwrap_or(evote_native::mode().to_string());
    let bits: Option<usize> = std::env::args().nth(2).and_then(|bits| bits.parse().ok());
    let wants = |size| bits.is_none_or(|bits| bits == size);
    #[cfg(target_arch = "x86_64")]
    if wanted == "ifma" {
        use evote_native::modp::Ifma;
        if wants(2048) {
            bench::<Ifma<40>>(2048, 124476);
        }
        if wants(3072) {
            bench::<Ifma<60>>(3072, 1690314);
        }
        if wants(4096) {
            bench::<Ifma<80>>(4096, 240904);
        }
        return;
    }
    if wants(2048) {
        bench::<Portable<32>>(2048, 124476);
    }
    if wants(3072) {
        bench::<Portable<48>>(3072, 1690314);
    }
    if wants(4096) {
        bench::<Portable<64>>(4096, 240904);
    }
}
