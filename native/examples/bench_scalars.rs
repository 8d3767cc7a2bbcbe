//! Nanoseconds per scalar on one thread, the least of several runs: `cargo run --release --example bench_scalars`.

use std::time::Instant;

use evote_native::buffers::set_threads;
use evote_native::scalars::Modulus;

fn least(count: usize, mut work: impl FnMut()) -> f64 {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64 / count as f64
    };
    (0..60).map(|_| time(&mut work)).fold(f64::MAX, f64::min)
}

fn main() {
    set_threads(1);
    let mut word = 1u64;
    let mut byte = || {
        word = word
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (word >> 56) as u8
    };
    for (bits, n) in [(253, 3000), (256, 3000), (2047, 100), (3071, 100), (4095, 100)] {
        let mut q: Vec<u8> = (0..(bits + 7) / 8).map(|_| byte()).collect();
        q[0] |= 1;
        *q.last_mut().unwrap() &= (1u16 << ((bits - 1) % 8 + 1)).wrapping_sub(1) as u8;
        *q.last_mut().unwrap() |= 1 << ((bits - 1) % 8);
        let m = Modulus::new(&q).unwrap();
        let size = m.size();
        let wide: Vec<u8> = (0..n * (size + 16)).map(|_| byte()).collect();
        let (mut a, mut out) = (vec![0; n * size], vec![0; n * size]);
        let reduce = least(n, || m.reduce_rows(&wide, size + 16, &mut a));
        let b = a.clone();
        let add = least(n, || m.add_rows(&a, &b, &mut out));
        let mul = least(n, || m.mul_rows(&a, &b, &mut out));
        let inner = least(n, || m.inner(&a, &b, 1, n, &mut out[..size]));
        let steps = least(n, || m.recurrence(&a, &b, &a[..size], &mut out));
        let inverses = least(n, || m.inverses(&a, &mut out));
        println!(
            "{bits} bits: reduce {reduce:.1}  add {add:.1}  mul {mul:.1}  inner {inner:.1}  recurrence {steps:.1}  inverse {inverses:.1} ns"
        );
    }
}
