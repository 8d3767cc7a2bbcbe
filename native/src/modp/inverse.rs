//! The inverse modulo p and the Jacobi symbol, by division steps from the low bits (Bernstein and Yang, "Fast
//! constant-time gcd computation and modular inversion", 2019; Hamburg, "Computing the Jacobi symbol using
//! Bernstein-Yang", 2021), 62 at a time: these look at one word of each number and give a matrix, which then is
//! applied to whole numbers. Variable time.

use super::number;

const BITS: u32 = 62;
const MASK: i64 = (1 << BITS) - 1;
/// Signed limbs for 4096 bits and two more.
const LIMBS: usize = 67;

type Limbs = [i64; LIMBS];

/// 2^62 times what a batch of steps does: (f, g) becomes (u f + v g, q f + r g) / 2^62.
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// Limbs of 62 bits.
fn split(x: &[u64]) -> Limbs {
    core::array::from_fn(|i| {
        let (word, shift) = (62 * i / 64, 62 * i % 64);
        let low = x.get(word).map_or(0, |x| x >> shift);
        let high = if shift > 2 {
            x.get(word + 1).map_or(0, |x| x << (64 - shift))
        } else {
            0
        };
        (low | high) as i64 & MASK
    })
}

/// Words of a number that is not negative.
fn join(x: &Limbs, words: usize) -> Vec<u64> {
    let mut out = vec![0; words + 2];
    for (i, &limb) in x.iter().enumerate() {
        let (word, shift) = (62 * i / 64, 62 * i % 64);
        if word < words {
            out[word] |= (limb as u64) << shift;
            if shift > 2 {
                out[word + 1] |= limb as u64 >> (64 - shift);
            }
        }
    }
    out.truncate(words);
    out
}

/// Division steps on the low words of odd f and of g. `POSITIVE`: g + f for g - f, so that neither
/// becomes negative, and the sign of the symbol is kept in the low bit of `symbol`.
fn steps<const POSITIVE: bool>(eta: &mut i64, f: u64, g: u64, symbol: &mut u64) -> Steps {
    let (mut f, mut g) = (f, g);
    let (mut u, mut v, mut q, mut r) = (1i64, 0i64, 0i64, 1i64);
    let mut left = BITS;
    loop {
        // The steps in which g is even.
        let zeros = (g | (u64::MAX << left)).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *eta -= zeros as i64;
        left -= zeros;
        if POSITIVE {
            // (2/f) is -1 where f is 3 or 5 modulo 8.
            *symbol ^= zeros as u64 & ((f >> 1) ^ (f >> 2));
        }
        if left == 0 {
            return Steps { u, v, q, r };
        }
        let multiple;
        if *eta < 0 {
            *eta = -*eta;
            if POSITIVE {
                // Reciprocity: the sign changes where both are 3 modulo 4.
                *symbol ^= (f & g) >> 1;
                (f, g) = (g, f);
                (u, q) = (q, u);
                (v, r) = (r, v);
            } else {
                (f, g) = (g, f.wrapping_neg());
                (u, q) = (q, -u);
                (v, r) = (r, -v);
            }
            // As many steps at once as leave eta below 0, up to six: -g/f modulo 2^6.
            let limit = (*eta + 1).min(left as i64) as u32;
            let mask = (u64::MAX >> (64 - limit)) & 63;
            multiple = f.wrapping_mul(g).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)) & mask;
        } else {
            // Up to four.
            let limit = (*eta + 1).min(left as i64) as u32;
            let mask = (u64::MAX >> (64 - limit)) & 15;
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            multiple = inverse.wrapping_neg().wrapping_mul(g) & mask;
        }
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q += u * multiple as i64;
        r += v * multiple as i64;
    }
}

fn dot(a: i64, x: i64, b: i64, y: i64) -> i128 {
    a as i128 * x as i128 + b as i128 * y as i128
}

/// (f, g) after the steps, in the first `limbs` limbs; the highest keeps the sign.
fn apply(f: &mut Limbs, g: &mut Limbs, limbs: usize, steps: &Steps) {
    let Steps { u, v, q, r } = *steps;
    let (mut x, mut y) = (dot(u, f[0], v, g[0]) >> BITS, dot(q, f[0], r, g[0]) >> BITS);
    for i in 1..limbs {
        x += dot(u, f[i], v, g[i]);
        y += dot(q, f[i], r, g[i]);
        (f[i - 1], g[i - 1]) = (x as i64 & MASK, y as i64 & MASK);
        (x, y) = (x >> BITS, y >> BITS);
    }
    (f[limbs - 1], g[limbs - 1]) = (x as i64, y as i64);
}

/// The same modulo p, of numbers between -2 p and p: multiples of p make the low limbs zero.
fn apply_modulo(d: &mut Limbs, e: &mut Limbs, limbs: usize, steps: &Steps, p: &Limbs, p_inverse: u64) {
    let Steps { u, v, q, r } = *steps;
    let (d_sign, e_sign) = (d[limbs - 1] >> 63, e[limbs - 1] >> 63);
    let (mut x, mut y) = (dot(u, d[0], v, e[0]), dot(q, d[0], r, e[0]));
    // p is added once for a number that is negative, and then taken up to 2^62 times.
    let clear = |x: i128, times: i64| {
        let more = p_inverse.wrapping_mul(x as u64).wrapping_add(times as u64) & MASK as u64;
        times - more as i64
    };
    let s = clear(x, (u & d_sign) + (v & e_sign));
    let t = clear(y, (q & d_sign) + (r & e_sign));
    x = (x + p[0] as i128 * s as i128) >> BITS;
    y = (y + p[0] as i128 * t as i128) >> BITS;
    for i in 1..limbs {
        x += dot(u, d[i], v, e[i]) + p[i] as i128 * s as i128;
        y += dot(q, d[i], r, e[i]) + p[i] as i128 * t as i128;
        (d[i - 1], e[i - 1]) = (x as i64 & MASK, y as i64 & MASK);
        (x, y) = (x >> BITS, y >> BITS);
    }
    (d[limbs - 1], e[limbs - 1]) = (x as i64, y as i64);
}

/// x += p or -x, limb by limb.
fn combine(x: &mut Limbs, limbs: usize, f: impl Fn(usize, i64) -> i64) {
    let mut carry = 0;
    for (i, limb) in x[..limbs].iter_mut().enumerate() {
        let sum = f(i, *limb) + carry;
        *limb = if i + 1 == limbs { sum } else { sum & MASK };
        carry = sum >> BITS;
    }
}

fn limbs_of(p: &[u64]) -> usize {
    number::bit_length(p) / BITS as usize + 1
}

/// One limb fewer where the highest are only signs.
fn shrink(f: &mut Limbs, g: &mut Limbs, limbs: &mut usize) {
    let top = *limbs - 1;
    if top > 0 && [f[top], g[top]].iter().all(|&x| x == 0 || x == -1) {
        f[top - 1] |= f[top] << BITS;
        g[top - 1] |= g[top] << BITS;
        *limbs = top;
    }
}

/// 1/x modulo an odd prime p, of x below p; that of 0 is 0.
pub fn invert(x: &[u64], p: &[u64]) -> Vec<u64> {
    let (modulus, p_inverse, limbs) = (split(p), number::minus_inverse(p[0]).wrapping_neg(), limbs_of(p));
    let (mut f, mut g, mut d, mut e) = (modulus, split(x), [0; LIMBS], [0; LIMBS]);
    e[0] = 1;
    let (mut eta, mut used) = (-1, limbs);
    while g[..used].iter().any(|&limb| limb != 0) {
        let steps = steps::<false>(&mut eta, f[0] as u64, g[0] as u64, &mut 0);
        apply_modulo(&mut d, &mut e, limbs, &steps, &modulus, p_inverse);
        apply(&mut f, &mut g, used, &steps);
        shrink(&mut f, &mut g, &mut used);
    }
    // Now f is 1 or -1 and d = f / x; or x was 0, and d is.
    if d[limbs - 1] < 0 {
        combine(&mut d, limbs, |i, limb| limb + modulus[i]);
    }
    if f[used - 1] < 0 {
        combine(&mut d, limbs, |_, limb| -limb);
    }
    if d[limbs - 1] < 0 {
        combine(&mut d, limbs, |i, limb| limb + modulus[i]);
    }
    join(&d, p.len())
}

/// Whether x, 0 < x < p, is a square modulo an odd prime p.
///
/// None where the steps do not end; nothing is known of such numbers.
pub fn is_square(x: &[u64], p: &[u64]) -> Option<bool> {
    let (mut f, mut g, mut symbol) = (split(p), split(x), 0);
    let (mut eta, mut used) = (-1, limbs_of(p));
    // Between 2 and 3 steps a bit are usual.
    for _ in 0..used * 6 {
        if f[0] == 1 && f[1..used].iter().all(|&limb| limb == 0) {
            return Some(symbol & 1 == 0);
        }
        // Modulo 8 after 62 steps takes two bits more than a limb has.
        let (f0, g0) = (
            f[0] as u64 | (f[1] as u64) << BITS,
            g[0] as u64 | (g[1] as u64) << BITS,
        );
        let steps = steps::<true>(&mut eta, f0, g0, &mut symbol);
        apply(&mut f, &mut g, used, &steps);
        if used > 2 {
            shrink(&mut f, &mut g, &mut used);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power(x: u128, mut e: u128, p: u128) -> u128 {
        let (mut x, mut result) = (x, 1);
        while e > 0 {
            if e & 1 == 1 {
                result = result * x % p;
            }
            x = x * x % p;
            e >>= 1;
        }
        result
    }

    #[test]
    fn small_primes() {
        for p in [3u64, 5, 7, 11, 13, 17, 65521, 0xffff_ffff_ffff_ffc5] {
            for x in (1..p.min(70)).chain([p - 1, p - 2, p / 2]) {
                let inverse = invert(&[x], &[p])[0];
                assert_eq!(x as u128 * inverse as u128 % p as u128, 1, "{x} modulo {p}");
                if let Some(square) = is_square(&[x], &[p]) {
                    if p < 1 << 63 {
                        assert_eq!(
                            square,
                            power(x as u128, (p as u128 - 1) / 2, p as u128) == 1,
                            "{x} modulo {p}"
                        );
                    }
                } else {
                    panic!("no symbol of {x} modulo {p}");
                }
            }
            assert_eq!(invert(&[0], &[p]), [0]);
        }
    }
}
