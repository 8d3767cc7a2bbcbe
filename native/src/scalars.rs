//! Arithmetic modulo the order q of a group, in bulk.
//!
//! A scalar is a row of `scalar_size` bytes: 64-bit words, little-endian, below q. Sequences of operations
//! and of memory accesses depend on lengths and on q, never on values: there are no branches on these, no
//! lookups by them, and Rust's integers multiply, add and subtract in constant time on 64-bit processors.
//!
//! Products are reduced as by P. Barrett ("Implementing the Rivest Shamir and Adleman public key encryption
//! algorithm on a standard digital signal processor", 1986), with words of b = 2^64 as in the Handbook of
//! Applied Cryptography, algorithm 14.42: scalars stay in plain form, and a reduction costs about as
//! many word products as the product itself, half of what two Montgomery reductions would.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::{fill_rows, filled, row_count, threads};

/// The longest order, in words.
const MOST: usize = 64;
/// Scratch words, 2 w + 2, for orders of four words.
const FOUR: usize = 10;

/// Runs `$body` with scratch arrays of `$cap` words: `FOUR` for orders of four words, which are common and whose
/// loops then have constant lengths.
macro_rules! by_width {
    ($modulus:expr, $cap:ident, $body:expr) => {
        if $modulus.words == 4 {
            const $cap: usize = FOUR;
            $body
        } else {
            const $cap: usize = 2 * MOST + 2;
            $body
        }
    };
}

/// Runs `$body` for `$i` from 0 to `$w`; four words' loop without a loop, so that those inside have constant lengths.
macro_rules! each_index {
    ($cap:ident, $w:expr, $i:ident => $body:block) => {
        if $cap == FOUR {
            each_index!(@ $i => $body, 0 1 2 3 4)
        } else {
            for $i in 0..=$w $body
        }
    };
    (@ $i:ident => $body:block, $($value:literal)*) => {
        {
            $({
                let $i: usize = $value;
                $body
            })*
        }
    };
}

#[inline(always)]
fn load(bytes: &[u8], words: &mut [u64]) {
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().unwrap());
    }
}

#[inline(always)]
fn store(words: &[u64], bytes: &mut [u8]) {
    for (word, chunk) in words.iter().zip(bytes.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

/// acc += x y, of as many words as y; gives the carry.
#[inline(always)]
fn add_multiple(acc: &mut [u64], x: u64, y: &[u64]) -> u64 {
    let mut carry = 0u64;
    for (a, &y) in acc.iter_mut().zip(y) {
        let t = x as u128 * y as u128 + *a as u128 + carry as u128;
        *a = t as u64;
        carry = (t >> 64) as u64;
    }
    carry
}

/// a += b; gives the carry.
#[inline(always)]
fn add_words(a: &mut [u64], b: &[u64]) -> u64 {
    let mut carry = false;
    for (a, &b) in a.iter_mut().zip(b) {
        let (t, c1) = a.overflowing_add(b);
        let (t, c2) = t.overflowing_add(carry as u64);
        *a = t;
        carry = c1 | c2;
    }
    carry as u64
}

/// to = a - b; gives the borrow.
#[inline(always)]
fn sub_words(to: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
    let mut borrow = false;
    for ((t, &a), &b) in to.iter_mut().zip(a).zip(b) {
        let (d, c1) = a.overflowing_sub(b);
        let (d, c2) = d.overflowing_sub(borrow as u64);
        *t = d;
        borrow = c1 | c2;
    }
    borrow as u64
}

/// to = x where mask is 0, y where it is all ones.
#[inline(always)]
fn select(to: &mut [u64], x: &[u64], y: &[u64], mask: u64) {
    let mask = std::hint::black_box(mask); // keeps the compiler from making a branch of it
    for ((t, &x), &y) in to.iter_mut().zip(x).zip(y) {
        *t = x ^ (mask & (x ^ y));
    }
}

/// 1 where all words are zero, else 0.
#[inline(always)]
fn none_set(words: &[u64]) -> u64 {
    let all = words.iter().fold(0, |all, word| all | word);
    (!all & all.wrapping_sub(1)) >> 63
}

/// The modulus and what reductions by it need.
pub struct Modulus {
    words: usize,
    bits: usize,
    q: Vec<u64>,  // one word more than `words`, for comparisons
    mu: Vec<u64>, // floor(b^2w / q), w + 1 words
}

impl Modulus {
    /// Of an odd number from 3 to below 2^4096, little-endian; None for others.
    pub fn new(number: &[u8]) -> Option<Modulus> {
        let length = number.iter().rposition(|&x| x != 0)? + 1;
        let words = length.div_ceil(8);
        if number[0] & 1 == 0 || (length == 1 && number[0] < 3) || words > MOST {
            return None;
        }
        let mut padded = number[..length].to_vec();
        padded.resize(8 * words, 0);
        let mut q = vec![0; words + 1];
        load(&padded, &mut q[..words]);
        let bits = 64 * words - q[words - 1].leading_zeros() as usize;
        // Long division of b^2w, bit by bit. The remainder is below q, twice that below 2 q: w + 1 words.
        let (mut mu, mut rest) = (vec![0u64; 2 * words + 1], vec![0u64; words + 1]);
        let mut less = vec![0u64; words + 1];
        for place in (0..=128 * words).rev() {
            let mut carry = (place == 128 * words) as u64;
            for word in rest.iter_mut() {
                (*word, carry) = (*word << 1 | carry, *word >> 63);
            }
            if sub_words(&mut less, &rest, &q) == 0 {
                std::mem::swap(&mut rest, &mut less);
                mu[place / 64] |= 1 << (place % 64);
            }
        }
        mu.truncate(words + 1); // q > b^(w-1), so that mu < b^(w+1)
        Some(Modulus { words, bits, q, mu })
    }

    pub fn size(&self) -> usize {
        8 * self.words
    }

    /// The number of words, a constant for four.
    #[inline(always)]
    fn width<const CAP: usize>(&self) -> usize {
        if CAP == FOUR { 4 } else { self.words }
    }

    pub fn bits(&self) -> usize {
        self.bits
    }

    /// out = x mod q for x of 2 w words, x < q b^w.
    ///
    /// With d = x / q, the quotient taken is at least d - e - 1 (as a real number), where e is what is lost by
    /// cutting mu, x / b^2w <= 1; by cutting x, b^(w-1) / q < 1; by columns that are not computed, below w / b.
    /// The first is near 1 only where q is near b^w, the second only where q is near b^(w-1): e < 1 + 2^-50 and
    /// the remainder is below 3 q. Two subtractions make it less than q.
    #[inline(always)]
    fn reduce<const CAP: usize>(&self, x: &[u64; CAP], out: &mut [u64]) {
        let w = self.width::<CAP>();
        let (q, mu) = (&self.q[..w + 1], &self.mu[..w + 1]);
        // high[k]: column k + w - 1 of (x / b^(w-1)) mu
        let mut high = [0u64; CAP];
        each_index!(CAP, w, i => {
            let skip = (w - 1).saturating_sub(i);
            let start = i + skip - (w - 1);
            let end = start + w + 1 - skip;
            high[end] = add_multiple(&mut high[start..end], x[w - 1 + i], &mu[skip..]);
        });
        let mut low = [0u64; CAP];
        each_index!(CAP, w, i => {
            let end = (i + w).min(w + 1);
            let carry = add_multiple(&mut low[i..end], high[2 + i], &q[..end - i]);
            if end <= w {
                low[end] = carry;
            }
        });
        let (mut rest, mut less) = ([0u64; CAP], [0u64; CAP]);
        sub_words(&mut rest[..=w], &x[..=w], &low[..=w]);
        let borrow = sub_words(&mut less[..=w], &rest[..=w], q);
        let mut twice = [0u64; CAP];
        select(&mut twice[..=w], &less[..=w], &rest[..=w], borrow.wrapping_neg());
        let borrow = sub_words(&mut less[..=w], &twice[..=w], q);
        select(out, &less[..w], &twice[..w], borrow.wrapping_neg());
    }

    /// The product as 2 w words.
    #[inline(always)]
    fn widen<const CAP: usize>(&self, a: &[u64], b: &[u64], wide: &mut [u64; CAP]) {
        let w = self.width::<CAP>();
        wide[..w].fill(0);
        each_index!(CAP, w - 1, i => {
            if i < w {
                wide[i + w] = add_multiple(&mut wide[i..i + w], a[i], b);
            }
        });
    }

    #[inline(always)]
    fn mul<const CAP: usize>(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        let mut wide = [0u64; CAP];
        self.widen(a, b, &mut wide);
        self.reduce(&wide, out);
    }

    /// a + b, both below q.
    #[inline(always)]
    fn add<const CAP: usize>(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        let w = self.width::<CAP>();
        let (mut sum, mut less) = ([0u64; CAP], [0u64; CAP]);
        sum[..w].copy_from_slice(a);
        sum[w] = add_words(&mut sum[..w], b);
        let borrow = sub_words(&mut less[..=w], &sum[..=w], &self.q[..=w]);
        select(out, &less[..w], &sum[..w], borrow.wrapping_neg());
    }

    /// a - b, both below q.
    #[inline(always)]
    fn sub<const CAP: usize>(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        let w = self.width::<CAP>();
        let (mut difference, mut more) = ([0u64; CAP], [0u64; CAP]);
        let borrow = sub_words(&mut difference[..w], a, b);
        more[..w].copy_from_slice(&difference[..w]);
        add_words(&mut more[..w], &self.q[..w]);
        select(out, &difference[..w], &more[..w], borrow.wrapping_neg());
    }

    /// A number of any length, little-endian words, modulo q.
    #[inline(always)]
    fn reduce_long<const CAP: usize>(&self, words: &[u64], out: &mut [u64]) {
        let w = self.width::<CAP>();
        let mut wide = [0u64; CAP];
        let mut end = words.len();
        let mut take = (end + w - 1) % w + 1; // the highest words, then w at a time
        while end > 0 {
            // What was reduced is below q: with w words behind it, below q b^w.
            wide[..take].copy_from_slice(&words[end - take..end]);
            let mut rest = [0u64; CAP];
            self.reduce(&wide, &mut rest[..w]);
            wide[w..2 * w].copy_from_slice(&rest[..w]);
            end -= take;
            take = w;
        }
        out.copy_from_slice(&wide[w..2 * w]);
    }

    /// x^(q - 2) by windows of the exponent, which is public.
    fn fermat<const CAP: usize>(&self, x: &[u64], out: &mut [u64]) {
        let w = self.width::<CAP>();
        let mut exponent = self.q[..w].to_vec();
        let mut two = vec![0; w];
        two[0] = 2;
        let q = exponent.clone();
        sub_words(&mut exponent, &q, &two);
        let mut powers = vec![[0u64; CAP]; 16];
        powers[0][0] = 1;
        for i in 1..16 {
            let before = powers[i - 1];
            self.mul::<CAP>(&before[..w], x, &mut powers[i][..w]);
        }
        let (mut result, mut next) = (powers[0], [0u64; CAP]);
        for place in (0..16 * w).rev() {
            for _ in 0..4 {
                self.mul::<CAP>(&result[..w], &result[..w], &mut next[..w]);
                std::mem::swap(&mut result, &mut next);
            }
            let digit = (exponent[place / 16] >> (4 * (place % 16)) & 15) as usize;
            self.mul::<CAP>(&result[..w], &powers[digit][..w], &mut next[..w]);
            std::mem::swap(&mut result, &mut next);
        }
        out.copy_from_slice(&result[..w]);
    }

    /// Rows that are one thread's share: some 50 us of products.
    fn share(&self) -> usize {
        (1 << 16) / (self.words * self.words) + 1
    }

    /// One row for each row of a and b, of which one may be a single row.
    #[inline(always)]
    fn pairs<const CAP: usize>(
        &self,
        a: &[u8],
        b: &[u8],
        out: &mut [u8],
        operation: impl Fn(&[u64], &[u64], &mut [u64]) + Sync + Send,
    ) {
        let size = self.size();
        let (one_a, one_b) = (a.len() == size, b.len() == size);
        fill_rows(out, size, self.share(), |first, chunk| {
            let w = self.width::<CAP>();
            let size = 8 * w;
            let (mut x, mut y, mut z) = ([0u64; CAP], [0u64; CAP], [0u64; CAP]);
            for (i, row) in chunk.chunks_exact_mut(size).enumerate() {
                let (i, j) = (
                    if one_a { 0 } else { first + i },
                    if one_b { 0 } else { first + i },
                );
                load(&a[i * size..][..size], &mut x[..w]);
                load(&b[j * size..][..size], &mut y[..w]);
                operation(&x[..w], &y[..w], &mut z[..w]);
                store(&z[..w], row);
            }
        });
    }

    pub fn add_rows(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        by_width!(
            self,
            CAP,
            self.pairs::<CAP>(a, b, out, |x, y, z| self.add::<CAP>(x, y, z))
        );
    }

    pub fn sub_rows(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        by_width!(
            self,
            CAP,
            self.pairs::<CAP>(a, b, out, |x, y, z| self.sub::<CAP>(x, y, z))
        );
    }

    pub fn mul_rows(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        by_width!(
            self,
            CAP,
            self.pairs::<CAP>(a, b, out, |x, y, z| self.mul::<CAP>(x, y, z))
        );
    }

    /// Each row's inverse, 0 for 0, where q is prime: x^(q-2) of the product of all, then two products each.
    ///
    /// Reference: P. L. Montgomery, "Speeding the Pollard and elliptic curve methods of factorization",
    /// 1987, section 10.3.1. Zeros take part as ones.
    pub fn inverses(&self, a: &[u8], out: &mut [u8]) {
        let size = self.size();
        let share = (out.len() / size).div_ceil(threads()).max(self.share() / 8 + 1);
        by_width!(self, CAP, {
            fill_rows(out, size, share, |first, chunk| {
                let w = self.width::<CAP>();
                let size = 8 * w;
                let rows = chunk.len() / size;
                let a = &a[first * size..][..chunk.len()];
                // x as it is, but 1 for 0
                let read = |i: usize, x: &mut [u64; CAP]| {
                    load(&a[i * size..][..size], &mut x[..w]);
                    let zero = none_set(&x[..w]);
                    x[0] |= zero;
                    zero
                };
                let mut before = [0u64; CAP];
                let (mut x, mut next) = ([0u64; CAP], [0u64; CAP]);
                before[0] = 1;
                for (i, row) in chunk.chunks_exact_mut(size).enumerate() {
                    store(&before[..w], row);
                    read(i, &mut x);
                    self.mul::<CAP>(&before[..w], &x[..w], &mut next[..w]);
                    std::mem::swap(&mut before, &mut next);
                }
                let mut inverse = [0u64; CAP];
                self.fermat::<CAP>(&before[..w], &mut inverse[..w]);
                for i in (0..rows).rev() {
                    let row = &mut chunk[i * size..][..size];
                    load(row, &mut before[..w]);
                    let zero = read(i, &mut x);
                    self.mul::<CAP>(&before[..w], &inverse[..w], &mut next[..w]);
                    let one = next;
                    select(&mut next[..w], &one[..w], &[0; CAP][..w], zero.wrapping_neg());
                    store(&next[..w], row);
                    self.mul::<CAP>(&inverse[..w], &x[..w], &mut next[..w]);
                    std::mem::swap(&mut inverse, &mut next);
                }
            });
        });
    }

    /// Each of `rows` rows of `len` scalars to one, by `fold`; long rows are cut into pieces first, whose
    /// results `fold_again` takes.
    fn fold_rows(
        &self,
        rows: usize,
        len: usize,
        out: &mut [u8],
        fold: impl Fn(usize, usize, &mut [u8]) + Sync + Send,
        fold_again: impl FnOnce(&[u8], &mut [u8]),
    ) {
        let (size, piece) = (self.size(), 4 * self.share());
        let pieces = len.div_ceil(piece);
        if threads() == 1 || pieces < 2 || rows >= 4 * threads() {
            let share = (self.share() / len.max(1)).max(1);
            fill_rows(out, size, share, |first, chunk| {
                for (i, row) in chunk.chunks_exact_mut(size).enumerate() {
                    fold((first + i) * len, (first + i + 1) * len, row);
                }
            });
            return;
        }
        let mut parts = vec![0; rows * pieces * size];
        fill_rows(&mut parts, size, 1, |first, row| {
            let (i, k) = (first / pieces, first % pieces);
            fold(i * len + k * piece, i * len + ((k + 1) * piece).min(len), row);
        });
        fold_again(&parts, out);
    }

    /// The sum of each of `rows` rows.
    pub fn sums(&self, a: &[u8], rows: usize, out: &mut [u8]) {
        let size = self.size();
        let len = if rows == 0 { 0 } else { a.len() / size / rows };
        by_width!(self, CAP, {
            let fold = |start: usize, end: usize, row: &mut [u8]| {
                let w = self.width::<CAP>();
                let size = 8 * w;
                let (mut sum, mut x) = ([0u64; CAP], [0u64; CAP]);
                for i in start..end {
                    load(&a[i * size..][..size], &mut x[..w]);
                    sum[w] += add_words(&mut sum[..w], &x[..w]);
                }
                let mut rest = [0u64; CAP];
                self.reduce_long::<CAP>(&sum[..=w], &mut rest[..w]);
                store(&rest[..w], row);
            };
            self.fold_rows(rows, len, out, fold, |parts, out| self.sums(parts, rows, out));
        });
    }

    /// The product of each of `rows` rows.
    pub fn products(&self, a: &[u8], rows: usize, out: &mut [u8]) {
        let size = self.size();
        let len = if rows == 0 { 0 } else { a.len() / size / rows };
        by_width!(self, CAP, {
            let fold = |start: usize, end: usize, row: &mut [u8]| {
                let w = self.width::<CAP>();
                let size = 8 * w;
                let (mut product, mut next, mut x) = ([0u64; CAP], [0u64; CAP], [0u64; CAP]);
                product[0] = 1;
                for i in start..end {
                    load(&a[i * size..][..size], &mut x[..w]);
                    self.mul::<CAP>(&product[..w], &x[..w], &mut next[..w]);
                    std::mem::swap(&mut product, &mut next);
                }
                store(&product[..w], row);
            };
            self.fold_rows(rows, len, out, fold, |parts, out| self.products(parts, rows, out));
        });
    }

    /// The sum of products a_i b_i of each of `rows` rows; one of a and b may be a single row of `len`
    /// scalars, for all rows. Sums of whole products are reduced once.
    pub fn inner(&self, a: &[u8], b: &[u8], rows: usize, len: usize, out: &mut [u8]) {
        by_width!(self, CAP, {
            let fold = |start: usize, end: usize, row: &mut [u8]| {
                let w = self.width::<CAP>();
                let size = 8 * w;
                let (mut sum, mut wide) = ([0u64; CAP], [0u64; CAP]);
                let (mut x, mut y) = ([0u64; CAP], [0u64; CAP]);
                // Where a row begins again, in what has but one.
                let base = if len == 0 { 0 } else { start / len * len };
                let shift_a = if a.len() == len * size { base } else { 0 };
                let shift_b = if b.len() == len * size { base } else { 0 };
                for i in start..end {
                    load(&a[(i - shift_a) * size..][..size], &mut x[..w]);
                    load(&b[(i - shift_b) * size..][..size], &mut y[..w]);
                    self.widen(&x[..w], &y[..w], &mut wide);
                    sum[2 * w] += add_words(&mut sum[..2 * w], &wide[..2 * w]);
                }
                let mut rest = [0u64; CAP];
                self.reduce_long::<CAP>(&sum[..=2 * w], &mut rest[..w]);
                store(&rest[..w], row);
            };
            self.fold_rows(rows, len, out, fold, |parts, out| self.sums(parts, rows, out));
        });
    }

    /// x_i = a_i x_(i-1) + b_i from x_(-1) = start; a and b may be single rows.
    pub fn recurrence(&self, a: &[u8], b: &[u8], start: &[u8], out: &mut [u8]) {
        by_width!(self, CAP, {
            let w = self.width::<CAP>();
            let size = 8 * w;
            let (one_a, one_b) = (a.len() == size, b.len() == size);
            let (mut x, mut y) = ([0u64; CAP], [0u64; CAP]);
            let (mut state, mut next) = ([0u64; CAP], [0u64; CAP]);
            load(start, &mut state[..w]);
            for (i, row) in out.chunks_exact_mut(size).enumerate() {
                load(&a[if one_a { 0 } else { i } * size..][..size], &mut x[..w]);
                load(&b[if one_b { 0 } else { i } * size..][..size], &mut y[..w]);
                self.mul::<CAP>(&state[..w], &x[..w], &mut next[..w]);
                self.add::<CAP>(&next[..w], &y[..w], &mut state[..w]);
                store(&state[..w], row);
            }
        });
    }

    /// Rows of `width` bytes, little-endian, modulo q.
    pub fn reduce_rows(&self, data: &[u8], width: usize, out: &mut [u8]) {
        let (size, words) = (self.size(), width.div_ceil(8));
        by_width!(self, CAP, {
            fill_rows(out, size, self.share(), |first, chunk| {
                let w = self.width::<CAP>();
                let size = 8 * w;
                let (mut bytes, mut long, mut x) = (vec![0; 8 * words], vec![0; words], [0u64; CAP]);
                for (i, row) in chunk.chunks_exact_mut(size).enumerate() {
                    bytes[..width].copy_from_slice(&data[(first + i) * width..][..width]);
                    load(&bytes, &mut long);
                    self.reduce_long::<CAP>(&long, &mut x[..w]);
                    store(&x[..w], row);
                }
            });
        });
    }

    /// Numbers of `width` bytes to rows where they are below q, else to zero. `out` has rows with one byte more,
    /// 1 where the number was below q.
    fn decode_rows(&self, data: &[u8], width: usize, big_endian: bool, out: &mut [u8]) {
        let (size, w, words) = (self.size(), self.words, width.div_ceil(8).max(self.words));
        fill_rows(out, size + 1, 4 * self.share(), |first, chunk| {
            let (mut bytes, mut number) = (vec![0u8; 8 * words], vec![0u64; words]);
            let mut less = [0u64; MOST];
            for (i, row) in chunk.chunks_exact_mut(size + 1).enumerate() {
                let given = &data[(first + i) * width..][..width];
                bytes[..width].copy_from_slice(given);
                if big_endian {
                    bytes[..width].reverse();
                }
                load(&bytes, &mut number);
                let borrow = sub_words(&mut less[..w], &number[..w], &self.q[..w]);
                let good = borrow & none_set(&number[w..]);
                let kept = &mut less[..w];
                select(kept, &[0; MOST][..w], &number[..w], good.wrapping_neg());
                store(kept, row);
                row[size] = good as u8;
            }
        });
    }

    /// Rows to numbers of `width` bytes, which suffice for q.
    pub fn encode_rows(&self, rows: &[u8], width: usize, big_endian: bool, out: &mut [u8]) {
        let size = self.size();
        let kept = size.min(width);
        fill_rows(out, width, 4 * self.share(), |first, chunk| {
            for (i, number) in chunk.chunks_exact_mut(width).enumerate() {
                number[..kept].copy_from_slice(&rows[(first + i) * size..][..kept]);
                number[kept..].fill(0);
                if big_endian {
                    number.reverse();
                }
            }
        });
    }
}

/// Scalars modulo an odd number q of up to 4096 bits; for `inverse` a prime.
#[pyclass(frozen, module = "evote_native")]
pub struct Scalars {
    modulus: Modulus,
}

impl Scalars {
    fn rows(&self, data: &[u8], what: &str) -> PyResult<usize> {
        row_count(data, self.modulus.size(), what)
    }

    /// The number of rows of two operands; a single row serves all rows of the other.
    fn common(&self, a: &[u8], b: &[u8]) -> PyResult<usize> {
        match (self.rows(a, "scalars")?, self.rows(b, "scalars")?) {
            (1, n) | (n, 1) => Ok(n),
            (n, m) if n == m => Ok(n),
            (n, m) => Err(PyValueError::new_err(format!("{n} scalars met {m}"))),
        }
    }

    /// The length of each of `rows` rows.
    fn row_length(&self, a: &[u8], rows: usize) -> PyResult<usize> {
        let n = self.rows(a, "scalars")?;
        match n.checked_rem(rows) {
            Some(0) => Ok(n / rows),
            None if n == 0 => Ok(0),
            _ => Err(PyValueError::new_err(format!("{n} scalars are no {rows} rows"))),
        }
    }
}

#[pymethods]
impl Scalars {
    #[new]
    fn new(q: &[u8]) -> PyResult<Self> {
        match Modulus::new(q) {
            Some(modulus) => Ok(Scalars { modulus }),
            None => Err(PyValueError::new_err("q is odd, at least 3 and below 2^4096")),
        }
    }

    /// Bytes of a row.
    #[getter]
    fn scalar_size(&self) -> usize {
        self.modulus.size()
    }

    fn add<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.common(a, b)?;
        filled(py, n * self.modulus.size(), |out| {
            self.modulus.add_rows(a, b, out)
        })
    }

    fn sub<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.common(a, b)?;
        filled(py, n * self.modulus.size(), |out| {
            self.modulus.sub_rows(a, b, out)
        })
    }

    fn mul<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.common(a, b)?;
        filled(py, n * self.modulus.size(), |out| {
            self.modulus.mul_rows(a, b, out)
        })
    }

    fn neg<'py>(&self, py: Python<'py>, a: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.rows(a, "scalars")?;
        let zero = vec![0; self.modulus.size()];
        filled(py, a.len(), |out| self.modulus.sub_rows(&zero, a, out))
    }

    /// Inverses modulo a prime q; 0 for 0.
    fn inverse<'py>(&self, py: Python<'py>, a: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        self.rows(a, "scalars")?;
        filled(py, a.len(), |out| self.modulus.inverses(a, out))
    }

    /// The sum of each of `rows` rows.
    fn sums<'py>(&self, py: Python<'py>, a: &[u8], rows: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.row_length(a, rows)?;
        filled(py, rows * self.modulus.size(), |out| {
            self.modulus.sums(a, rows, out)
        })
    }

    /// The product of each of `rows` rows.
    fn products<'py>(&self, py: Python<'py>, a: &[u8], rows: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.row_length(a, rows)?;
        filled(py, rows * self.modulus.size(), |out| {
            self.modulus.products(a, rows, out)
        })
    }

    /// For each of `rows` rows the sum of products; one of a and b may be a single row for all.
    fn inner<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8], rows: usize) -> PyResult<Bound<'py, PyBytes>> {
        let longer = if a.len() >= b.len() { a } else { b };
        let len = self.row_length(longer, rows)?;
        for (data, other) in [(a, b), (b, a)] {
            self.rows(data, "scalars")?;
            if data.len() != other.len()
                && data.len() < other.len()
                && data.len() != len * self.modulus.size()
            {
                let (n, m) = (a.len() / self.modulus.size(), b.len() / self.modulus.size());
                return Err(PyValueError::new_err(format!(
                    "{n} scalars met {m} in {rows} rows"
                )));
            }
        }
        filled(py, rows * self.modulus.size(), |out| {
            self.modulus.inner(a, b, rows, len, out)
        })
    }

    /// x[i] = a[i] x[i-1] + b[i], where x[-1] is `start`; a or b may be a single row for all.
    fn recurrence<'py>(
        &self,
        py: Python<'py>,
        a: &[u8],
        b: &[u8],
        start: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.common(a, b)?;
        if start.len() != self.modulus.size() {
            return Err(PyValueError::new_err("the start is one scalar"));
        }
        filled(py, n * self.modulus.size(), |out| {
            self.modulus.recurrence(a, b, start, out)
        })
    }

    /// 1, x, .., x^(n-1).
    fn powers_of<'py>(&self, py: Python<'py>, x: &[u8], n: usize) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.modulus.size();
        if x.len() != size {
            return Err(PyValueError::new_err("powers are of one scalar"));
        }
        let zero = vec![0; size];
        let mut one = zero.clone();
        one[0] = 1;
        filled(py, n * size, |out| {
            if n > 0 {
                let (first, rest) = out.split_at_mut(size);
                first.copy_from_slice(&one);
                self.modulus.recurrence(x, &zero, &one, rest);
            }
        })
    }

    /// Rows of `width` bytes, little-endian, modulo q.
    fn reduce<'py>(&self, py: Python<'py>, data: &[u8], width: usize) -> PyResult<Bound<'py, PyBytes>> {
        let n = row_count(data, width, "numbers")?;
        filled(py, n * self.modulus.size(), |out| {
            self.modulus.reduce_rows(data, width, out)
        })
    }

    /// Numbers of `width` bytes as rows, zero for those not below q, and a mask of those that are.
    fn below_q<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        width: usize,
        big_endian: bool,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let n = row_count(data, width, "numbers")?;
        let size = self.modulus.size();
        let mut both = vec![0; n * (size + 1)];
        py.detach(|| self.modulus.decode_rows(data, width, big_endian, &mut both));
        let rows = filled(py, n * size, |out| {
            for (row, both) in out.chunks_exact_mut(size).zip(both.chunks_exact(size + 1)) {
                row.copy_from_slice(&both[..size]);
            }
        })?;
        let mask = filled(py, n, |out| {
            for (mask, both) in out.iter_mut().zip(both.chunks_exact(size + 1)) {
                *mask = both[size];
            }
        })?;
        Ok((rows, mask))
    }

    /// Rows as numbers of `width` bytes, as many as q has at least.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        rows: &[u8],
        width: usize,
        big_endian: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.rows(rows, "scalars")?;
        if 8 * width < self.modulus.bits() {
            return Err(PyValueError::new_err(format!("{width} bytes are too few for q")));
        }
        filled(py, n * width, |out| {
            self.modulus.encode_rows(rows, width, big_endian, out)
        })
    }

    /// The bit length of the largest; 0 where there are none.
    fn bit_length_max(&self, py: Python<'_>, a: &[u8]) -> PyResult<usize> {
        self.rows(a, "scalars")?;
        let size = self.modulus.size();
        Ok(py.detach(|| {
            let mut all = vec![0u8; size];
            for row in a.chunks_exact(size) {
                all.iter_mut().zip(row).for_each(|(all, x)| *all |= x);
            }
            let top = all.iter().rposition(|&x| x != 0);
            top.map_or(0, |i| 8 * i + 8 - all[i].leading_zeros() as usize)
        }))
    }

    /// A byte 1 for each pair of equal scalars, else 0.
    fn equal<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.common(a, b)?;
        filled(py, n, |out| self.masks(a, b, out))
    }

    /// A byte 1 for each scalar that is zero, else 0.
    fn is_zero<'py>(&self, py: Python<'py>, a: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let n = self.rows(a, "scalars")?;
        let zero = vec![0; self.modulus.size()];
        filled(py, n, |out| self.masks(a, &zero, out))
    }
}

impl Scalars {
    fn masks(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        let size = self.modulus.size();
        let (one_a, one_b) = (a.len() == size, b.len() == size);
        for (i, mask) in out.iter_mut().enumerate() {
            let a = &a[if one_a { 0 } else { i } * size..][..size];
            let b = &b[if one_b { 0 } else { i } * size..][..size];
            let differences = a.iter().zip(b).fold(0u8, |all, (x, y)| all | (x ^ y));
            *mask = none_set(&[differences as u64]) as u8;
        }
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Scalars>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;

    /// Orders of many widths: ristretto255's, P-256's, tiny ones, and words at their ends.
    fn orders() -> Vec<BigUint> {
        let hex = |text: &[u8]| BigUint::parse_bytes(text, 16).unwrap();
        let one = BigUint::from(1u8);
        let mut found = vec![
            BigUint::from(3u8),
            BigUint::from(11u8),
            BigUint::from(23u8),
            BigUint::from(0xffff_ffff_ffff_ffc5u64), // the largest prime below 2^64
            hex(b"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"),
            hex(b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
            &(&one << 256) - 189u8, // a prime
            (&one << 64) + 13u8,    // a prime just above a word
            (&one << 192) + 133u8,
        ];
        for bits in [252, 253, 256, 257, 320, 384, 521, 2047, 3071, 4095, 4096] {
            found.push((&one << bits) - 1u8); // all ones, not always prime
            found.push((&one << (bits - 1)) + 1u8);
        }
        found.retain(|q| q.bits() <= 4096);
        found
    }

    struct Stream(u64);

    impl Stream {
        fn word(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }

        fn number(&mut self, bits: u64) -> BigUint {
            let digits = (0..bits.div_ceil(32))
                .map(|_| (self.word() >> 16) as u32)
                .collect();
            BigUint::new(digits) >> (bits.div_ceil(32) * 32 - bits)
        }
    }

    fn row(x: &BigUint, size: usize) -> Vec<u8> {
        let mut bytes = x.to_bytes_le();
        bytes.resize(size, 0);
        bytes
    }

    fn pack(numbers: &[BigUint], size: usize) -> Vec<u8> {
        numbers.iter().flat_map(|x| row(x, size)).collect()
    }

    fn unpack(rows: &[u8], size: usize) -> Vec<BigUint> {
        rows.chunks_exact(size).map(BigUint::from_bytes_le).collect()
    }

    /// Delicate values, then random ones, all below q.
    fn values(q: &BigUint, stream: &mut Stream) -> Vec<BigUint> {
        let mut found: Vec<BigUint> = (0u8..3).map(BigUint::from).collect();
        found.extend([q - 1u8, q - 2u8, q >> 1, (q >> 1) + 1u8, q >> (q.bits() / 2)]);
        for k in 0..q.bits().div_ceil(64).min(6) {
            found.push((BigUint::from(1u8) << (64 * k)) - 1u8);
            found.push(BigUint::from(1u8) << (64 * k));
        }
        found.extend((0..12).map(|_| stream.number(q.bits())));
        found.into_iter().map(|x| x % q).collect()
    }

    fn out(size: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut bytes = vec![0xa5; size];
        fill(&mut bytes);
        bytes
    }

    #[test]
    fn sums_differences_products() {
        let mut stream = Stream(1);
        for q in orders() {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            let (size, xs) = (m.size(), values(&q, &mut stream));
            let (mut a, mut b) = (vec![], vec![]);
            for x in &xs {
                for y in &xs {
                    a.push(x.clone());
                    b.push(y.clone());
                }
            }
            let (pa, pb) = (pack(&a, size), pack(&b, size));
            let added = unpack(&out(pa.len(), |o| m.add_rows(&pa, &pb, o)), size);
            let less = unpack(&out(pa.len(), |o| m.sub_rows(&pa, &pb, o)), size);
            let multiplied = unpack(&out(pa.len(), |o| m.mul_rows(&pa, &pb, o)), size);
            for i in 0..a.len() {
                assert_eq!(added[i], (&a[i] + &b[i]) % &q);
                assert_eq!(less[i], (&a[i] + &q - &b[i]) % &q);
                assert_eq!(multiplied[i], &a[i] * &b[i] % &q, "{q} {} {}", a[i], b[i]);
            }
            let single = row(&a[a.len() - 1], size);
            let left = unpack(&out(pa.len(), |o| m.sub_rows(&single, &pa, o)), size);
            let right = unpack(&out(pa.len(), |o| m.sub_rows(&pa, &single, o)), size);
            for i in 0..a.len() {
                assert_eq!(left[i], (&a[a.len() - 1] + &q - &a[i]) % &q);
                assert_eq!(right[i], (&a[i] + &q - &a[a.len() - 1]) % &q);
            }
        }
    }

    #[test]
    fn folds() {
        let mut stream = Stream(2);
        for q in orders() {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            let size = m.size();
            let xs = values(&q, &mut stream);
            let ys: Vec<_> = xs.iter().rev().cloned().collect();
            for rows in (1..=xs.len()).filter(|rows| xs.len() % rows == 0) {
                let len = xs.len() / rows;
                let (a, b) = (pack(&xs, size), pack(&ys, size));
                let sums = unpack(&out(rows * size, |o| m.sums(&a, rows, o)), size);
                let products = unpack(&out(rows * size, |o| m.products(&a, rows, o)), size);
                let inner = unpack(&out(rows * size, |o| m.inner(&a, &b, rows, len, o)), size);
                let one_row = unpack(
                    &out(rows * size, |o| m.inner(&a, &b[..len * size], rows, len, o)),
                    size,
                );
                for r in 0..rows {
                    let (x, y) = (&xs[r * len..][..len], &ys[r * len..][..len]);
                    assert_eq!(sums[r], x.iter().sum::<BigUint>() % &q);
                    assert_eq!(products[r], x.iter().fold(BigUint::from(1u8), |t, x| t * x % &q));
                    let dot = |y: &[BigUint]| x.iter().zip(y).map(|(x, y)| x * y).sum::<BigUint>() % &q;
                    assert_eq!(inner[r], dot(y));
                    assert_eq!(one_row[r], dot(&ys[..len]));
                }
            }
            assert_eq!(out(2 * size, |o| m.sums(&[], 2, o)), vec![0; 2 * size]);
            let ones = pack(&[BigUint::from(1u8), BigUint::from(1u8)], size);
            assert_eq!(out(2 * size, |o| m.products(&[], 2, o)), ones);
        }
    }

    #[test]
    fn long_rows_are_cut() {
        let q = orders().swap_remove(4);
        let m = Modulus::new(&q.to_bytes_le()).unwrap();
        let (size, n) = (m.size(), 3 * 4 * m.share() + 17);
        let mut stream = Stream(3);
        let xs: Vec<_> = (0..n).map(|_| stream.number(253) % &q).collect();
        let a = pack(&xs, size);
        let b: Vec<u8> = a.chunks_exact(size).rev().flatten().copied().collect();
        let product = xs.iter().fold(BigUint::from(1u8), |t, x| t * x % &q);
        let dot = xs
            .iter()
            .zip(xs.iter().rev())
            .map(|(x, y)| x * y)
            .sum::<BigUint>()
            % &q;
        assert_eq!(
            unpack(&out(size, |o| m.sums(&a, 1, o)), size),
            [xs.iter().sum::<BigUint>() % &q]
        );
        assert_eq!(unpack(&out(size, |o| m.products(&a, 1, o)), size), [product]);
        assert_eq!(unpack(&out(size, |o| m.inner(&a, &b, 1, n, o)), size), [dot]);
    }

    #[test]
    fn recurrences() {
        let mut stream = Stream(4);
        for q in orders() {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            let size = m.size();
            let xs = values(&q, &mut stream);
            let ys: Vec<_> = xs.iter().rev().cloned().collect();
            let start = &q >> 2;
            let (a, b) = (pack(&xs, size), pack(&ys, size));
            let found = unpack(
                &out(a.len(), |o| m.recurrence(&a, &b, &row(&start, size), o)),
                size,
            );
            let one = unpack(
                &out(a.len(), |o| m.recurrence(&a, &b[..size], &row(&start, size), o)),
                size,
            );
            let (mut x, mut y) = (start.clone(), start);
            for i in 0..xs.len() {
                x = (&xs[i] * x + &ys[i]) % &q;
                y = (&xs[i] * y + &ys[0]) % &q;
                assert_eq!(found[i], x);
                assert_eq!(one[i], y);
            }
        }
    }

    #[test]
    fn inverses_modulo_primes() {
        let mut stream = Stream(5);
        for q in orders().into_iter().take(7) {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            let size = m.size();
            let mut xs = values(&q, &mut stream);
            xs.extend((0..2000).map(|_| stream.number(q.bits()) % &q));
            let a = pack(&xs, size);
            for (x, inverse) in xs.iter().zip(unpack(&out(a.len(), |o| m.inverses(&a, o)), size)) {
                let zero = x.bits() == 0;
                assert_eq!(x * &inverse % &q, BigUint::from(!zero as u8));
                assert!(inverse < q && (!zero || inverse.bits() == 0));
            }
        }
    }

    #[test]
    fn reduces_rows_of_any_width() {
        let mut stream = Stream(6);
        for q in orders() {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            for width in [
                1,
                7,
                8,
                m.size() - 1,
                m.size(),
                m.size() + 16,
                2 * m.size(),
                3 * m.size() + 5,
            ] {
                let mut xs: Vec<_> = (0..20).map(|_| stream.number(8 * width as u64)).collect();
                xs.push((BigUint::from(1u8) << (8 * width)) - 1u8);
                xs.push(BigUint::from(0u8));
                let data = pack(&xs, width);
                let rows = unpack(
                    &out(xs.len() * m.size(), |o| m.reduce_rows(&data, width, o)),
                    m.size(),
                );
                for (x, found) in xs.iter().zip(rows) {
                    assert_eq!(found, x % &q);
                }
            }
        }
    }

    #[test]
    fn decodes_and_encodes() {
        let mut stream = Stream(7);
        for q in orders() {
            let m = Modulus::new(&q.to_bytes_le()).unwrap();
            let (size, exact) = (m.size(), (q.bits() as usize).div_ceil(8));
            for width in [exact, size, size + 3, size + 16] {
                let full = BigUint::from(1u8) << (8 * width);
                let mut xs = values(&q, &mut stream);
                xs.extend(
                    [q.clone(), &q + 1u8, &full - 1u8, &full >> 1]
                        .into_iter()
                        .filter(|x| x < &full),
                );
                for big in [false, true] {
                    let mut data = pack(&xs, width);
                    if big {
                        data.chunks_exact_mut(width).for_each(|x| x.reverse());
                    }
                    let both = out(xs.len() * (size + 1), |o| m.decode_rows(&data, width, big, o));
                    for (i, row) in both.chunks_exact(size + 1).enumerate() {
                        let good = xs[i] < q;
                        assert_eq!(row[size], good as u8);
                        let kept = BigUint::from_bytes_le(&row[..size]);
                        assert_eq!(kept, if good { xs[i].clone() } else { BigUint::from(0u8) });
                        if good {
                            let again = out(width, |o| m.encode_rows(&row[..size], width, big, o));
                            assert_eq!(again, data[i * width..][..width]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn refuses_other_orders() {
        for bytes in [&[][..], &[0], &[1], &[2], &[12], &[0, 0, 0], &[4, 1]] {
            assert!(Modulus::new(bytes).is_none());
        }
        let mut large = vec![0; 513];
        large[0] = 1;
        large[512] = 1;
        assert!(Modulus::new(&large).is_none());
        assert!(Modulus::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_some());
    }
}
