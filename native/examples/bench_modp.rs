use evote_native::modp::kernel::*;
use std::time::Instant;
fn bench<const L: usize>() {
    let mut p = Lanes::<L>::ZERO;
    let mut a = Lanes::<L>::ZERO;
    let mut s = 88172645463325252u64;
    let mut next = || { s ^= s << 13; s ^= s >> 7; s ^= s << 17; s & ((1 << 52) - 1) };
    for i in 0..L { p.0[i] = [next() | 1; 8]; for j in 0..8 { a.0[i][j] = next(); } }
    p.0[L-1] = [3;8]; for j in 0..8 { a.0[L-1][j]= 1; }
    let mut inv = 1u64; for _ in 0..6 { inv = inv.wrapping_mul(2u64.wrapping_sub(p.0[0][0].wrapping_mul(inv))); }
    let m = Modulus { p, n0: inv.wrapping_neg() & ((1<<52)-1) };
    let mut x = a;
    for (name, sq) in [("mul", false), ("sqr", true)] {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let n = 400;
            let t = Instant::now();
            for _ in 0..n { unsafe { if sq { square(&m, &x, &mut x) } else { multiply(&m, &x, &a, &mut x) } } }
            best = best.min(t.elapsed().as_secs_f64() / n as f64 / 8.0 * 1e6);
        }
        println!("{L} {name} {best:.3} us  ({:.2} ifma/ns)", (if sq {3*L*L} else {4*L*L}) as f64 / (best*8000.0));
    }
    println!("{}", x.0[3][2]);
}
fn main() { bench::<40>(); bench::<60>(); bench::<80>(); }
