//! One number modulo p in four words of 64 bits, in Montgomery form with factor 2^256: for processors without
//! AVX-512 IFMA. Always reduced; no branches on values.

use super::constants::PORTABLE;
use super::field::{Field, Words};

#[derive(Clone, Copy)]
pub struct One([u64; 4]);

/// p
const P: [u64; 4] = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];

const fn constant(x: [u64; 5]) -> One {
    One([x[0], x[1], x[2], x[3]])
}

#[inline(always)]
fn multiply_add(acc: u64, x: u64, y: u64, carry: u64) -> (u64, u64) {
    let t = acc as u128 + x as u128 * y as u128 + carry as u128;
    (t as u64, (t >> 64) as u64)
}

/// x - p where that is not negative, for x below 2 p: four words and a fifth.
#[inline(always)]
fn less_p(x: [u64; 5]) -> One {
    let (less, borrow) = subtract([x[0], x[1], x[2], x[3]], P);
    let keep = std::hint::black_box((borrow & !x[4] & 1).wrapping_neg());
    One([0, 1, 2, 3].map(|i| less[i] ^ (keep & (less[i] ^ x[i]))))
}

#[inline(always)]
fn subtract(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], u64) {
    let (mut out, mut borrow) = ([0; 4], 0);
    for i in 0..4 {
        let t = (a[i] as u128)
            .wrapping_sub(b[i] as u128)
            .wrapping_sub(borrow as u128);
        (out[i], borrow) = (t as u64, (t >> 127) as u64);
    }
    (out, borrow)
}

#[inline(always)]
fn sum(a: [u64; 4], b: [u64; 4]) -> [u64; 5] {
    let (mut out, mut carry) = ([0; 5], 0);
    for i in 0..4 {
        (out[i], carry) = multiply_add(a[i], 1, b[i], carry);
    }
    out[4] = carry;
    out
}

impl One {
    #[inline(always)]
    fn plus(self, other: One) -> One {
        less_p(sum(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, other: One) -> One {
        let (less, borrow) = subtract(self.0, other.0);
        let add = std::hint::black_box(borrow.wrapping_neg());
        let more = sum(less, P.map(|x| x & add));
        One([more[0], more[1], more[2], more[3]])
    }

    #[inline(always)]
    fn times(self, c: u32) -> One {
        let double = |x: One| x.plus(x);
        match c {
            1 => self,
            2 => double(self),
            3 => double(self).plus(self),
            4 => double(double(self)),
            8 => double(double(double(self))),
            9 => double(double(double(self))).plus(self),
            _ => unreachable!(),
        }
    }
}

#[inline(always)]
fn mul(a: &[u64; 4], b: &[u64; 4]) -> One {
    // Columns i .. i + 4; a step clears the lowest by m p, where m is that column itself as p = -1 mod 2^64:
    // m p = m 2^256 - m 2^224 + m 2^192 + m 2^96 - m.
    let mut t = [0u64; 5];
    for &x in a {
        let (mut carry, mut top) = (0, 0);
        for j in 0..4 {
            (t[j], carry) = multiply_add(t[j], x, b[j], carry);
        }
        (t[4], top) = multiply_add(t[4], 1, carry, top);
        let m = t[0];
        let (low, high) = multiply_add(0, m, P[3], 0);
        let (u0, c) = multiply_add(t[1], 1, m << 32, 0);
        let (u1, c) = multiply_add(t[2], 1, m >> 32, c);
        let (u2, c) = multiply_add(t[3], 1, low, c);
        let (u3, c) = multiply_add(t[4], 1, high, c);
        t = [u0, u1, u2, u3, top + c];
    }
    less_p(t)
}

impl Field for One {
    const LANES: usize = 1;
    const WINDOW: usize = 6;
    const STRAUS: usize = 60;
    const ZERO: Self = One([0; 4]);
    const ONE: Self = constant(PORTABLE.one);
    const B: Self = constant(PORTABLE.b);
    const Z: Self = constant(PORTABLE.z);
    const ROOT_10: Self = constant(PORTABLE.root_10);
    const ENTER: Self = constant(PORTABLE.enter);
    const ENTER_256: Self = constant(PORTABLE.enter_256);

    fn mul(&self, other: &Self) -> Self {
        mul(&self.0, &other.0)
    }

    fn sqr(&self) -> Self {
        mul(&self.0, &self.0)
    }

    #[inline(always)]
    fn dual(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        a.mul(b).plus(c.mul(d))
    }

    #[inline(always)]
    fn sum<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self {
        let mut total = Self::ZERO;
        for (i, (x, c)) in terms.iter().zip([A, B, C]).enumerate() {
            let multiple = x.times(c.unsigned_abs());
            total = match (i, c > 0) {
                (0, true) => multiple,
                (_, true) => total.plus(multiple),
                (_, false) => total.minus(multiple),
            };
        }
        total
    }

    #[inline(always)]
    fn folded<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self {
        Self::sum::<A, B, C, K>(terms)
    }

    fn zeros(&self) -> u8 {
        let all = self.0[0] | self.0[1] | self.0[2] | self.0[3];
        ((!all & all.wrapping_sub(1)) >> 63) as u8
    }

    fn maybe_zeros(&self) -> u8 {
        self.zeros()
    }

    #[inline(always)]
    fn select(mask: u8, x: &Self, y: &Self) -> Self {
        let mask = std::hint::black_box((mask as u64 & 1).wrapping_neg());
        One([0, 1, 2, 3].map(|i| x.0[i] ^ (mask & (x.0[i] ^ y.0[i]))))
    }

    fn leave(&self) -> Words {
        let mut words = Words::ZERO;
        words.set(0, mul(&self.0, &[1, 0, 0, 0]).0);
        words
    }

    fn raw(words: &Words) -> Self {
        let x = words.lane(0);
        less_p([x[0], x[1], x[2], x[3], 0])
    }

    fn thaw(words: &Words) -> Self {
        constant(Self::lay(words.lane(0)))
    }

    fn freeze(&self) -> Words {
        // 16 x: the words moved up, and what leaves them times 2^256.
        let x = self.0;
        let moved = less_p([
            x[0] << 4,
            x[1] << 4 | x[0] >> 60,
            x[2] << 4 | x[1] >> 60,
            x[3] << 4 | x[2] >> 60,
            0,
        ]);
        let c = [1, 0xffff_ffff_0000_0000, u64::MAX, 0xffff_fffe]; // 2^256 - p
        let (mut high, mut carry) = ([0; 4], 0);
        for i in 0..4 {
            (high[i], carry) = multiply_add(0, x[3] >> 60, c[i], carry);
        }
        let mut words = Words::ZERO;
        words.set(0, moved.plus(One(high)).0);
        words
    }

    fn gather(rows: [&[u8; 32]; 8]) -> Words {
        let mut words = Words::ZERO;
        words.set(
            0,
            [0, 1, 2, 3].map(|i| u64::from_le_bytes(rows[0][8 * i..][..8].try_into().unwrap())),
        );
        words
    }

    fn scatter(words: &Words) -> [[u8; 32]; 8] {
        let mut rows = [[0; 32]; 8];
        for (bytes, word) in rows[0].chunks_exact_mut(8).zip(words.lane(0)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        rows
    }

    /// x / 16, where x may be any four words: the multiple of p that clears four bits, then a shift.
    fn lay(words: [u64; 4]) -> [u64; 5] {
        let m = words[0] & 15;
        let (mut t, mut carry) = ([0; 5], 0);
        for i in 0..4 {
            (t[i], carry) = multiply_add(words[i], m, P[i], carry);
        }
        t[4] = carry;
        let x = [0, 1, 2, 3].map(|i| t[i] >> 4 | t[i + 1] << 60);
        let x = less_p([x[0], x[1], x[2], x[3], 0]).0;
        [x[0], x[1], x[2], x[3], 0]
    }

    fn splat(limbs: &[u64; 5]) -> Self {
        constant(*limbs)
    }

    fn read_rows(rows: [&[u64; 20]; 8]) -> ([Self; 4], u8) {
        let row = rows[0];
        let number = |i: usize| One([row[i], row[i + 1], row[i + 2], row[i + 3]]);
        ([number(0), number(4), number(8), number(12)], row[16] as u8)
    }

    fn write_rows(numbers: &[Self; 4], flags: u8, to: &mut [[u64; 20]], at: &[usize; 8]) {
        let row = &mut to[at[0]];
        for (part, number) in row.chunks_exact_mut(4).zip(numbers) {
            part.copy_from_slice(&number.0);
        }
        row[16] = flags as u64;
    }

    fn look_up(table: &[u64], index: &[u64; 8]) -> Self {
        let entries = 1 << (Self::WINDOW - 1);
        let mut found = [0; 4];
        for (word, plane) in found.iter_mut().zip(table.chunks_exact(entries)) {
            for (i, x) in plane.iter().enumerate() {
                let other = i as u64 ^ index[0];
                *word |= x & ((!other & other.wrapping_sub(1)) >> 63).wrapping_neg();
            }
        }
        One(found)
    }

    fn equal_lanes(words: &[u64; 8], x: u64) -> u8 {
        let other = words[0] ^ x;
        ((!other & other.wrapping_sub(1)) >> 63) as u8
    }
}
