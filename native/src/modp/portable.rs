//! The engine of one lane: words of 64 bits, for any processor.

use super::engine::{Digits, Engine};
use super::{inverse, number};

/// N words; R = 2^(64 N). All residues are reduced below p.
pub struct Portable<const N: usize> {
    p: [u64; N],
    /// -1/p modulo 2^64.
    n0: u64,
    one: [u64; N],
}

fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    // (2^64 - 1)^2 + 2 (2^64 - 1) is below 2^128.
    let x = a as u128 * b as u128 + c as u128 + carry as u128;
    (x as u64, (x >> 64) as u64)
}

impl<const N: usize> Portable<N> {
    /// a b / R modulo p, word by word of b (coarsely integrated operand scanning).
    fn product(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        let (mut t, mut top) = ([0; N], 0);
        for &y in b {
            // t = (t + a y + q p) / 2^64, below 2 p.
            let (low, mut carry) = multiply_add(a[0], y, t[0], 0);
            let q = low.wrapping_mul(self.n0);
            let (_, mut clear) = multiply_add(self.p[0], q, low, 0);
            for i in 1..N {
                let x;
                (x, carry) = multiply_add(a[i], y, t[i], carry);
                (t[i - 1], clear) = multiply_add(self.p[i], q, x, clear);
            }
            let x = top as u128 + carry as u128 + clear as u128;
            (t[N - 1], top) = (x as u64, (x >> 64) as u64);
        }
        self.reduced(&t, top)
    }

    /// t or t - p, by the same work.
    fn reduced(&self, t: &[u64; N], top: u64) -> [u64; N] {
        let mut difference = *t;
        let borrow = number::subtract(&mut difference, &self.p) as u64;
        let keep = 0u64.wrapping_sub(borrow & !top & 1);
        core::array::from_fn(|i| t[i] & keep | difference[i] & !keep)
    }

    fn read(row: &[u8]) -> [u64; N] {
        core::array::from_fn(|i| u64::from_le_bytes(row[8 * i..8 * i + 8].try_into().unwrap()))
    }
}

/// The sum of entry & mask, where the mask is that of the entry's own number.
fn scan<'a, const N: usize>(entries: impl Iterator<Item = &'a [u64]>, digit: u64) -> [u64; N] {
    let mut out = [0; N];
    for (i, entry) in entries.enumerate() {
        let other = i as u64 ^ digit;
        let mask = ((other | other.wrapping_neg()) >> 63).wrapping_sub(1);
        // The compiler must not find out that one entry is enough.
        let mask = core::hint::black_box(mask);
        for (x, y) in out.iter_mut().zip(entry) {
            *x |= y & mask;
        }
    }
    out
}

impl<const N: usize> Engine for Portable<N> {
    const LANES: usize = 1;
    const ROW: usize = 8 * N;
    const TABLE_BITS: usize = 5;
    type Lanes = [u64; N];

    fn new(p: &[u64]) -> Self {
        let mut one = [0; N];
        number::subtract(&mut one, p);
        Portable {
            p: p.try_into().unwrap(),
            n0: number::minus_inverse(p[0]),
            one,
        }
    }

    fn one(&self) -> &[u64; N] {
        &self.one
    }

    fn multiply(&self, a: &[u64; N], b: &[u64; N], out: &mut [u64; N]) {
        *out = self.product(a, b);
    }

    fn multiply_into(&self, a: &mut [u64; N], b: &[u64; N]) {
        *a = self.product(a, b);
    }

    fn square(&self, a: &mut [u64; N]) {
        *a = self.product(a, a);
    }

    fn add_into(&self, a: &mut [u64; N], b: &[u64; N]) {
        let mut carry = 0;
        for (x, y) in a.iter_mut().zip(b) {
            (*x, carry) = multiply_add(*x, 1, *y, carry);
        }
        *a = self.reduced(a, carry);
    }

    fn reduce(&self, a: &mut [u64; N]) {
        *a = self.reduced(a, 0);
    }

    fn load(&self, data: &[u8], at: &[usize]) -> [u64; N] {
        at.first()
            .map_or(self.one, |&at| Self::read(&data[at..at + 8 * N]))
    }

    fn store(&self, x: &[u64; N], data: &mut [u8], at: &[usize]) {
        if let Some(&at) = at.first() {
            number::to_bytes(x, &mut data[at..at + 8 * N]);
        }
    }

    fn broadcast(&self, row: &[u8]) -> [u64; N] {
        Self::read(row)
    }

    fn limbs(&self, number: &[u8], row: &mut [u8]) {
        number::to_bytes(&number::from_bytes(number), row);
    }

    fn number(&self, row: &[u8], number: &mut [u8]) {
        number::to_bytes(&Self::read(row), number);
    }

    fn are_squares(&self, x: &[u64; N]) -> [Option<bool>; 8] {
        [inverse::is_square(x, &self.p); 8]
    }

    fn select(&self, table: &[[u64; N]], digits: &Digits) -> [u64; N] {
        scan(table.iter().map(|entry| &entry[..]), digits[0])
    }

    fn put(&self, plane: &mut [u64], entry: usize, row: &[u8]) {
        plane[N * entry..N * entry + N].copy_from_slice(&Self::read(row));
    }

    fn lookup(&self, plane: &[u64], digits: &Digits) -> [u64; N] {
        scan(plane.chunks_exact(N), digits[0])
    }
}
