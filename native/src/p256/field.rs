//! What the point formulas need of the field of p = 2^256 - 2^224 + 2^192 + 2^96 - 1, one number per lane.

/// Numbers modulo p, `LANES` at a time, in Montgomery form.
///
/// A value stands for a multiple of p more or less. Where limits matter they are given as "k": below k p.
/// Implementations that always reduce (k = 1) need not care.
pub trait Field: Copy + Send + Sync {
    const LANES: usize;
    /// Of fixed-base tables: bits.
    const WINDOW: usize;
    /// Products of up to so many powers go by shared doublings, longer ones by buckets.
    const STRAUS: usize;
    const ZERO: Self;
    const ONE: Self;
    const B: Self;
    /// -10 and the root of 10, for the map of RFC 9380.
    const Z: Self;
    const ROOT_10: Self;
    /// Multiplied by a number as it is, this makes the Montgomery form of it.
    const ENTER: Self;
    /// The same for the number times 2^256.
    const ENTER_256: Self;

    /// a b; of k1, k2 <= 16, k1 k2 <= 240, makes 1 + k1 k2 / 16.
    fn mul(&self, other: &Self) -> Self;
    /// a^2; of k <= 15 makes 1 + k^2 / 16.
    fn sqr(&self) -> Self;
    /// a b + c d; of k1 k2 + k3 k4 <= 240 makes 1 + (k1 k2 + k3 k4) / 16.
    fn dual(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;
    /// A x + B y + C z + K p for up to three numbers; the whole must be non-negative. k adds up, to 16 at most.
    fn sum<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self;
    /// As `sum`, to k <= 1.01 from up to 128.
    fn folded<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self;
    /// A bit for each lane that is zero modulo p, of k <= 2.
    fn zeros(&self) -> u8;
    /// As `zeros`, but rarely tells too much.
    fn maybe_zeros(&self) -> u8;
    /// y where the bit is set, else x.
    fn select(mask: u8, x: &Self, y: &Self) -> Self;
    /// The numbers themselves, 0 .. p-1, out of Montgomery form.
    fn leave(&self) -> Words;
    /// The Montgomery form, but without the multiplication by the factor that `ENTER` is for.
    fn raw(words: &Words) -> Self;
    /// Montgomery form with factor 2^260, four words a lane, to a value with k = 1, and back from k <= 2.
    fn thaw(words: &Words) -> Self;
    fn freeze(&self) -> Words;

    /// Four words, little-endian, from each lane's row, and to them.
    fn gather(rows: [&[u8; 32]; 8]) -> Words;
    fn scatter(words: &Words) -> [[u8; 32]; 8];
    /// A frozen number as words that `splat` reads into all lanes.
    fn lay(words: [u64; 4]) -> [u64; 5];
    fn splat(limbs: &[u64; 5]) -> Self;
    /// Four numbers of k <= 2 from a row for each lane, and a flag for each lane: zeros are four zeros without it.
    fn read_rows(rows: [&[u64; 20]; 8]) -> ([Self; 4], u8);
    /// What `read_rows` reads to rows of a table, for lane i at[i].
    fn write_rows(numbers: &[Self; 4], flags: u8, to: &mut [[u64; 20]], at: &[usize; 8]);
    /// Of numbers as `lay` makes them, first limbs of all, then second ones, .., the index[i]-th for lane i, out of
    /// 2^(WINDOW - 1): all are read.
    fn look_up(table: &[u64], index: &[u64; 8]) -> Self;
    /// A bit for each lane's word that equals x.
    fn equal_lanes(words: &[u64; 8], x: u64) -> u8;
}

/// Four words for each of up to eight lanes: words[i][lane].
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Words(pub [[u64; 8]; 4]);

impl Words {
    pub const ZERO: Words = Words([[0; 8]; 4]);

    pub fn lane(&self, lane: usize) -> [u64; 4] {
        [self.0[0][lane], self.0[1][lane], self.0[2][lane], self.0[3][lane]]
    }

    pub fn set(&mut self, lane: usize, words: [u64; 4]) {
        for (row, word) in self.0.iter_mut().zip(words) {
            row[lane] = word;
        }
    }
}

/// a^((p-3)/4), where (p-3)/4 = 3fffffff c0000000 40000000 0 0 3fffffff ffffffff ffffffff; 253 squarings. With
/// it come square roots, a^((p-3)/4) a, and inverses, a^(4 (p-3)/4) a. Two at a time keep the processor busy, where one
/// waits for its own results.
#[inline(always)]
pub fn power<F: Field, const N: usize>(a: &[F; N]) -> [F; N] {
    let x2 = times(squares(a, 1), a);
    let x4 = times(squares(&x2, 2), &x2);
    let x8 = times(squares(&x4, 4), &x4);
    let x16 = times(squares(&x8, 8), &x8);
    let x24 = times(squares(&x16, 8), &x8);
    let x28 = times(squares(&x24, 4), &x4);
    let x30 = times(squares(&x28, 2), &x2);
    let x32 = times(squares(&x30, 2), &x2);
    let mut x = times(squares(&x32, 32), a);
    x = times(squares(&x, 128), &x32);
    x = times(squares(&x, 32), &x32);
    times(squares(&x, 30), &x30)
}

#[inline(always)]
fn squares<F: Field, const N: usize>(x: &[F; N], count: usize) -> [F; N] {
    let mut x = *x;
    for _ in 0..count {
        for x in &mut x {
            *x = x.sqr();
        }
    }
    x
}

#[inline(always)]
fn times<F: Field, const N: usize>(mut x: [F; N], y: &[F; N]) -> [F; N] {
    for i in 0..N {
        x[i] = x[i].mul(&y[i]);
    }
    x
}
