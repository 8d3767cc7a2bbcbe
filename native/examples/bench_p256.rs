//! Microseconds per element on one thread, the least of several runs: `cargo run --release --example bench_p256`.

use std::time::Instant;

use evote_native::buffers::set_threads;
use evote_native::p256::bulk::{self, Lanes};
use evote_native::p256::formulas::{ITEM, Point};
use evote_native::p256::portable::One;
use evote_native::p256::{multiexp, powers};

/// Microseconds this thread has run, as Linux counts them in steps of some milliseconds.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
}

/// Of short work the least time of many runs, one of which others on the machine leave alone; of work that takes
/// longer than they do, the processor's time.
fn least(runs: usize, count: usize, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let (start, used) = (Instant::now(), processor_time());
        work();
        let time = start.elapsed().as_nanos() as f64 / 1000.0;
        let used = processor_time() - used;
        best = best.min(if time < 20_000.0 { time } else { used });
    }
    best / count as f64
}

fn random(count: usize, seed: u64) -> Vec<u8> {
    let mut word = seed;
    let mut byte = || {
        word = word
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (word >> 56) as u8
    };
    (0..count).map(|_| byte()).collect()
}

/// Exponents of so many bytes.
fn exponents(count: usize, bytes: usize) -> Vec<u8> {
    let mut all = random(32 * count, 7);
    for row in all.chunks_exact_mut(32) {
        row[bytes..].fill(0);
        row[31] &= 0x7f;
    }
    all
}

/// How fast this machine is right now: a chain of multiplications, three cycles each.
fn clock() -> f64 {
    let mut x = 3u64;
    let time = least(20, 1, || {
        for _ in 0..100_000 {
            x = std::hint::black_box(x.wrapping_mul(x | 1));
        }
    });
    std::hint::black_box(x);
    time
}

fn run<F: Lanes>(name: &str) {
    println!("-- {name}");
    let lanes = F::LANES;
    let (mut a, mut b) = (F::B, F::ROOT_10);
    let ops = 2000;
    let mul = least(50, lanes * ops * 2, || {
        for _ in 0..ops {
            F::bench_mul(&mut a, &mut b);
        }
    });
    println!("mul, two chains {mul:.5}");
    let mut point = Point::<F>::IDENTITY;
    let g = bulk::generator::<F>();
    F::load(&g, &[0; 8], &mut point);
    let other = point;
    let add = least(50, lanes * ops, || {
        for _ in 0..ops {
            F::add(&mut point, &other);
        }
    });
    let double = least(50, lanes * 5 * ops, || {
        for _ in 0..ops {
            F::double(&mut point, 5);
        }
    });
    println!("add {add:.4}  double (fives) {double:.4}");

    let n = 1024;
    let es = exponents(n, 32);
    let mut items = vec![0; n * ITEM];
    let table = powers::Table::new::<F>(&g, 256);
    let build = least(3, 1, || drop(powers::Table::new::<F>(&g, 256)));
    let fixed = least(40, n, || table.powers::<F>(&es, &mut items));
    println!(
        "fixed base 256-bit {fixed:.3}  (table {build:.0}, {} bytes)",
        table.size()
    );
    let mut out = vec![0; n * ITEM];
    let constant = least(9, n, || powers::powers::<F>(&items, &es, true, &mut out));
    let variable = least(9, n, || powers::powers::<F>(&items, &es, false, &mut out));
    let short = exponents(n, 16);
    let variable_128 = least(9, n, || powers::powers::<F>(&items, &short, false, &mut out));
    println!(
        "variable base: constant time {constant:.2}  variable time {variable:.2}, 128-bit {variable_128:.2}"
    );
    let mut data = vec![0; n * 33];
    let encode = least(30, n, || bulk::encode::<F>(&items, &mut data));
    let mut masks = vec![0; n];
    let decode = least(30, n, || bulk::decode::<F>(&data, &mut items, &mut masks));
    assert!(masks.iter().all(|&mask| mask == 1));
    println!("decode {decode:.3}  encode {encode:.3}");
    let multiply = least(30, n, || bulk::multiply::<F>(&items, &items, &mut out));
    let sum = least(30, n, || bulk::products::<F>(&items, 1, &mut out[..ITEM]));
    let running = least(30, n, || bulk::running_products::<F>(&items, &mut out));
    let equal = least(30, n, || bulk::equal::<F>(&items, &items, &mut masks));
    println!("multiply {multiply:.4}  product {sum:.4}  running {running:.4}  equal {equal:.4}");
    let uniform = random(96 * n, 5);
    let hash = least(9, n, || bulk::from_uniform::<F>(&uniform, &mut out));
    let blocks = random(30 * 64, 6);
    let embed = least(3, 64, || {
        bulk::embed::<F>(&blocks, &mut out[..64 * ITEM], &mut masks[..64])
    });
    println!("from_uniform {hash:.3}  embed {embed:.1}");

    for n in [16, 64, 100, 200, 1000, 10_000, 100_000] {
        let bases: Vec<u8> = items.iter().copied().cycle().take(n * ITEM).collect();
        let mut line = format!("multiexp n={n}:");
        for bytes in [16, 32] {
            let es = exponents(n, bytes);
            let runs = (200_000 / n).clamp(3, 30);
            let time = least(runs, n, || {
                multiexp::multiexp::<F>(&bases, &es, 1, &mut out[..ITEM])
            });
            line += &format!("  {}-bit {time:.3}", 8 * bytes);
        }
        println!("{line}");
    }
    let es = exponents(n, 32);
    let rows = least(9, n, || {
        multiexp::multiexp::<F>(&items, &es, n / 4, &mut out[..n / 4 * ITEM])
    });
    println!("rows of 4, 256-bit, per term {rows:.3}");
}

fn main() {
    set_threads(1);
    println!("100,000 dependent products {:.1} us", clock());
    #[cfg(target_arch = "x86_64")]
    if evote_native::mode() == "ifma" {
        run::<evote_native::p256::ifma::Eight>("ifma");
    }
    if std::env::args().any(|argument| argument == "portable") {
        run::<One>("portable");
    }
    println!("100,000 dependent products {:.1} us", clock());
}
