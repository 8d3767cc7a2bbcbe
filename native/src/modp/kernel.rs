//! Montgomery multiplication of eight numbers at once: AVX-512 IFMA, radix 2^52.
//!
//! A number is L limbs below 2^52, L a multiple of ten, and R = 2^(52 L); eight of them stand limb by limb in
//! `Lanes`. Inputs are below 2 p and outputs below p (1 + 2^-29), since R is at least 2^31 p: no subtraction at the
//! end. Columns of products gather at most 4 L terms below 2^52 and a carry, so stay below 2^61.
//!
//! Work goes by tiles of ten by ten limbs: twenty columns and ten limbs stay in registers, and 200
//! multiplications come to ten loads and stores. Everything here is constant-time.

// Columns and limbs are counted side by side.
#![allow(clippy::needless_range_loop)]

use core::arch::x86_64::*;

/// Limbs in a block.
const B: usize = 10;

/// Eight numbers: limb i of lane j at [i][j].
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Lanes<const L: usize>(pub [[u64; 8]; L]);

impl<const L: usize> Lanes<L> {
    pub const ZERO: Self = Lanes([[0; 8]; L]);

    fn vectors(&self) -> *const __m512i {
        self.0.as_ptr().cast()
    }

    fn vectors_mut(&mut self) -> *mut __m512i {
        self.0.as_mut_ptr().cast()
    }
}

/// What the multiplication needs to know of the modulus.
pub struct Modulus<const L: usize> {
    /// p in every lane.
    pub p: Lanes<L>,
    /// -1/p modulo 2^52.
    pub n0: u64,
}

/// The columns of a product, two for each limb.
#[repr(C, align(64))]
struct Columns<const L: usize>([[[u64; 8]; L]; 2]);

impl<const L: usize> Columns<L> {
    fn vectors_mut(&mut self) -> *mut __m512i {
        self.0.as_mut_ptr().cast()
    }
}

// Row `i` of a tile: columns i.. gather x b.
macro_rules! row {
    ($c:ident, $x:expr, $b:ident, $i:literal) => {
        let x = $x;
        $c[$i] = _mm512_madd52lo_epu64($c[$i], x, $b[0]);
        $c[$i + 1] = _mm512_madd52lo_epu64($c[$i + 1], x, $b[1]);
        $c[$i + 2] = _mm512_madd52lo_epu64($c[$i + 2], x, $b[2]);
        $c[$i + 3] = _mm512_madd52lo_epu64($c[$i + 3], x, $b[3]);
        $c[$i + 4] = _mm512_madd52lo_epu64($c[$i + 4], x, $b[4]);
        $c[$i + 5] = _mm512_madd52lo_epu64($c[$i + 5], x, $b[5]);
        $c[$i + 6] = _mm512_madd52lo_epu64($c[$i + 6], x, $b[6]);
        $c[$i + 7] = _mm512_madd52lo_epu64($c[$i + 7], x, $b[7]);
        $c[$i + 8] = _mm512_madd52lo_epu64($c[$i + 8], x, $b[8]);
        $c[$i + 9] = _mm512_madd52lo_epu64($c[$i + 9], x, $b[9]);
        $c[$i + 1] = _mm512_madd52hi_epu64($c[$i + 1], x, $b[0]);
        $c[$i + 2] = _mm512_madd52hi_epu64($c[$i + 2], x, $b[1]);
        $c[$i + 3] = _mm512_madd52hi_epu64($c[$i + 3], x, $b[2]);
        $c[$i + 4] = _mm512_madd52hi_epu64($c[$i + 4], x, $b[3]);
        $c[$i + 5] = _mm512_madd52hi_epu64($c[$i + 5], x, $b[4]);
        $c[$i + 6] = _mm512_madd52hi_epu64($c[$i + 6], x, $b[5]);
        $c[$i + 7] = _mm512_madd52hi_epu64($c[$i + 7], x, $b[6]);
        $c[$i + 8] = _mm512_madd52hi_epu64($c[$i + 8], x, $b[7]);
        $c[$i + 9] = _mm512_madd52hi_epu64($c[$i + 9], x, $b[8]);
        $c[$i + 10] = _mm512_madd52hi_epu64($c[$i + 10], x, $b[9]);
    };
}

// Twenty columns gather the product of ten limbs at `a` and ten limbs `b`.
macro_rules! tile {
    ($c:ident, $a:expr, $b:ident) => {
        row!($c, *$a, $b, 0);
        row!($c, *$a.add(1), $b, 1);
        row!($c, *$a.add(2), $b, 2);
        row!($c, *$a.add(3), $b, 3);
        row!($c, *$a.add(4), $b, 4);
        row!($c, *$a.add(5), $b, 5);
        row!($c, *$a.add(6), $b, 6);
        row!($c, *$a.add(7), $b, 7);
        row!($c, *$a.add(8), $b, 8);
        row!($c, *$a.add(9), $b, 9);
    };
}

// The products x_i x_j, i < j, of ten limbs: half a square.
macro_rules! half_row {
    ($c:ident, $x:ident, $i:literal: $($j:literal)*) => {
        $($c[$i + $j] = _mm512_madd52lo_epu64($c[$i + $j], $x[$i], $x[$j]);)*
        $($c[$i + $j + 1] = _mm512_madd52hi_epu64($c[$i + $j + 1], $x[$i], $x[$j]);)*
    };
}

// Row `i` of the reduction: the digit that clears column i, and its carry into the next.
macro_rules! clear {
    ($c:ident, $q:ident, $p:expr, $n0:ident, $($i:literal)*) => {
        $(
            $q[$i] = _mm512_madd52lo_epu64(_mm512_setzero_si512(), $c[$i], $n0);
            $c[$i] = _mm512_madd52lo_epu64($c[$i], $q[$i], *$p);
            $c[$i + 1] = _mm512_add_epi64($c[$i + 1], _mm512_srli_epi64::<52>($c[$i]));
            clear_row!($c, $q, $p, $i, 1 2 3 4 5 6 7 8 9);
        )*
    };
}

macro_rules! clear_row {
    ($c:ident, $q:ident, $p:expr, $i:literal, $($j:literal)*) => {
        $c[$i + 1] = _mm512_madd52hi_epu64($c[$i + 1], $q[$i], *$p);
        $(
            $c[$i + $j] = _mm512_madd52lo_epu64($c[$i + $j], $q[$i], *$p.add($j));
            $c[$i + $j + 1] = _mm512_madd52hi_epu64($c[$i + $j + 1], $q[$i], *$p.add($j));
        )*
    };
}

/// out = a b / R modulo p. 4 L^2 multiplications.
///
/// # Safety
/// The processor has AVX-512 F and IFMA. `out` may be `a` or `b`.
#[target_feature(enable = "avx512f,avx512ifma")]
pub unsafe fn multiply<const L: usize>(
    modulus: &Modulus<L>,
    a: *const Lanes<L>,
    b: *const Lanes<L>,
    out: *mut Lanes<L>,
) {
    let mut columns = Columns::<L>([[[0; 8]; L]; 2]);
    let t = columns.vectors_mut();
    let (a, b): (*const __m512i, *const __m512i) = (a.cast(), b.cast());
    // SAFETY: `a` and `b` have L vectors and `t` 2 L, all aligned; L is a multiple of B.
    unsafe {
        for j in (0..L).step_by(B) {
            let mut y = [_mm512_setzero_si512(); B];
            for k in 0..B {
                y[k] = *b.add(j + k);
            }
            let mut c = [_mm512_setzero_si512(); 2 * B];
            for k in 0..B {
                c[k] = *t.add(j + k);
            }
            for i in (0..L).step_by(B) {
                for k in 0..B {
                    c[B + k] = *t.add(i + j + B + k);
                }
                let x = a.add(i);
                tile!(c, x, y);
                for k in 0..B {
                    *t.add(i + j + k) = c[k];
                    c[k] = c[B + k];
                }
            }
            for k in 0..B {
                *t.add(j + L + k) = c[k];
            }
        }
        reduce(modulus, t, (*out).vectors_mut());
    }
}

/// out = a^2 / R modulo p. 3 L^2 + L multiplications.
///
/// # Safety
/// The processor has AVX-512 F and IFMA. `out` may be `a`.
#[target_feature(enable = "avx512f,avx512ifma")]
pub unsafe fn square<const L: usize>(modulus: &Modulus<L>, a: *const Lanes<L>, out: *mut Lanes<L>) {
    let mut columns = Columns::<L>([[[0; 8]; L]; 2]);
    let t = columns.vectors_mut();
    let a: *const __m512i = a.cast();
    // SAFETY: as in `multiply`.
    unsafe {
        for j in (0..L).step_by(B) {
            let mut y = [_mm512_setzero_si512(); B];
            for k in 0..B {
                y[k] = *a.add(j + k);
            }
            let mut c = [_mm512_setzero_si512(); 2 * B];
            for k in 0..2 * B {
                c[k] = *t.add(2 * j + k);
            }
            half_row!(c, y, 0: 1 2 3 4 5 6 7 8 9);
            half_row!(c, y, 1: 2 3 4 5 6 7 8 9);
            half_row!(c, y, 2: 3 4 5 6 7 8 9);
            half_row!(c, y, 3: 4 5 6 7 8 9);
            half_row!(c, y, 4: 5 6 7 8 9);
            half_row!(c, y, 5: 6 7 8 9);
            half_row!(c, y, 6: 7 8 9);
            half_row!(c, y, 7: 8 9);
            half_row!(c, y, 8: 9);
            for k in 0..B {
                *t.add(2 * j + k) = c[k];
                c[k] = c[B + k];
            }
            for i in (j + B..L).step_by(B) {
                for k in 0..B {
                    c[B + k] = *t.add(i + j + B + k);
                }
                let x = a.add(i);
                tile!(c, x, y);
                for k in 0..B {
                    *t.add(i + j + k) = c[k];
                    c[k] = c[B + k];
                }
            }
            for k in 0..B {
                *t.add(j + L + k) = c[k];
            }
        }
        for i in 0..L {
            let (x, low, high) = (*a.add(i), *t.add(2 * i), *t.add(2 * i + 1));
            *t.add(2 * i) = _mm512_madd52lo_epu64(_mm512_add_epi64(low, low), x, x);
            *t.add(2 * i + 1) = _mm512_madd52hi_epu64(_mm512_add_epi64(high, high), x, x);
        }
        reduce(modulus, t, (*out).vectors_mut());
    }
}

/// out = t / R modulo p, of columns below 2^60, which are spent. 2 L^2 + L multiplications.
///
/// # Safety
/// The processor has AVX-512 F and IFMA; `t` has 2 L vectors, `out` L.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn reduce<const L: usize>(modulus: &Modulus<L>, t: *mut __m512i, out: *mut __m512i) {
    let p = modulus.p.vectors();
    let n0 = _mm512_set1_epi64(modulus.n0 as i64);
    // SAFETY: indices are below 2 L in `t` and below L in `p` and `out`.
    unsafe {
        for j in (0..L).step_by(B) {
            let mut q = [_mm512_setzero_si512(); B];
            let mut c = [_mm512_setzero_si512(); 2 * B];
            for k in 0..2 * B {
                c[k] = *t.add(j + k);
            }
            clear!(c, q, p, n0, 0 1 2 3 4 5 6 7 8 9);
            for k in 0..B {
                c[k] = c[B + k];
            }
            for i in (B..L).step_by(B) {
                for k in 0..B {
                    c[B + k] = *t.add(i + j + B + k);
                }
                let x = p.add(i);
                tile!(c, x, q);
                for k in 0..B {
                    *t.add(i + j + k) = c[k];
                    c[k] = c[B + k];
                }
            }
            for k in 0..B {
                *t.add(j + L + k) = c[k];
            }
        }
        let mask = _mm512_set1_epi64((1 << 52) - 1);
        let mut carry = _mm512_setzero_si512();
        for i in 0..L {
            let x = _mm512_add_epi64(*t.add(L + i), carry);
            *out.add(i) = _mm512_and_si512(x, mask);
            carry = _mm512_srli_epi64::<52>(x);
        }
    }
}

/// x modulo p, of x below 2 p: all lanes by the same work.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
pub unsafe fn reduce_once<const L: usize>(modulus: &Modulus<L>, x: &mut Lanes<L>) {
    let p = modulus.p.vectors();
    let x = x.vectors_mut();
    let mask = _mm512_set1_epi64((1 << 52) - 1);
    let mut difference = Lanes::<L>::ZERO;
    let d = difference.vectors_mut();
    // SAFETY: all three have L vectors.
    unsafe {
        let mut borrow = _mm512_setzero_si512();
        for i in 0..L {
            let y = _mm512_add_epi64(_mm512_sub_epi64(*x.add(i), *p.add(i)), borrow);
            *d.add(i) = _mm512_and_si512(y, mask);
            borrow = _mm512_srai_epi64::<52>(y);
        }
        let below = _mm512_cmplt_epi64_mask(borrow, _mm512_setzero_si512());
        for i in 0..L {
            *x.add(i) = _mm512_mask_mov_epi64(*d.add(i), below, *x.add(i));
        }
    }
}

/// Eight rows of L limbs to lanes.
///
/// # Safety
/// The processor has AVX-512 F; each pointer can be read for L limbs, aligned or not; L is a multiple of 4.
#[target_feature(enable = "avx512f")]
pub unsafe fn load_rows<const L: usize>(rows: &[*const u64; 8], out: &mut Lanes<L>) {
    let out = out.vectors_mut();
    // SAFETY: limbs 0..L, and none beyond, are read and written.
    unsafe {
        for i in (0..L - L % 8).step_by(8) {
            load_block::<8>(rows, i, out);
        }
        if L % 8 != 0 {
            load_block::<4>(rows, L - 4, out);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn load_block<const COUNT: usize>(rows: &[*const u64; 8], i: usize, out: *mut __m512i) {
    let mut x = [_mm512_setzero_si512(); 8];
    // SAFETY: limbs i .. i + COUNT are there.
    unsafe {
        for k in 0..8 {
            x[k] = _mm512_maskz_loadu_epi64(0xff >> (8 - COUNT), rows[k].add(i).cast());
        }
        let y = transpose(x);
        for k in 0..COUNT {
            *out.add(i + k) = y[k];
        }
    }
}

/// Lanes to eight rows of L limbs; a null pointer leaves its lane out.
///
/// # Safety
/// The processor has AVX-512 F; each other pointer can be written for L limbs, aligned or not; L is a multiple of 4.
#[target_feature(enable = "avx512f")]
pub unsafe fn store_rows<const L: usize>(x: &Lanes<L>, rows: &[*mut u64; 8]) {
    let x = x.vectors();
    // SAFETY: as in `load_rows`.
    unsafe {
        for i in (0..L - L % 8).step_by(8) {
            store_block::<8>(x, i, rows);
        }
        if L % 8 != 0 {
            store_block::<4>(x, L - 4, rows);
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_block<const COUNT: usize>(x: *const __m512i, i: usize, rows: &[*mut u64; 8]) {
    let mut block = [_mm512_setzero_si512(); 8];
    // SAFETY: as in `load_block`.
    unsafe {
        for k in 0..COUNT {
            block[k] = *x.add(i + k);
        }
        let y = transpose(block);
        for k in 0..8 {
            if !rows[k].is_null() {
                _mm512_mask_storeu_epi64(rows[k].add(i).cast(), 0xff >> (8 - COUNT), y[k]);
            }
        }
    }
}

/// Eight by eight: y[i][j] = x[j][i].
#[target_feature(enable = "avx512f")]
#[inline]
pub fn transpose(x: [__m512i; 8]) -> [__m512i; 8] {
    let pairs = |a: __m512i, b: __m512i| (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let ((a0, a1), (a2, a3)) = (pairs(x[0], x[1]), pairs(x[2], x[3]));
    let ((a4, a5), (a6, a7)) = (pairs(x[4], x[5]), pairs(x[6], x[7]));
    // a0: limbs 0 2 4 6 of rows 0 and 1, a1: limbs 1 3 5 7; then quarters.
    let even = |a: __m512i, b: __m512i| _mm512_shuffle_i64x2::<0x88>(a, b);
    let odd = |a: __m512i, b: __m512i| _mm512_shuffle_i64x2::<0xdd>(a, b);
    let (b0, b1, b2, b3) = (even(a0, a2), even(a1, a3), odd(a0, a2), odd(a1, a3));
    let (b4, b5, b6, b7) = (even(a4, a6), even(a5, a7), odd(a4, a6), odd(a5, a7));
    [
        even(b0, b4),
        even(b1, b5),
        even(b2, b6),
        even(b3, b7),
        odd(b0, b4),
        odd(b1, b5),
        odd(b2, b6),
        odd(b3, b7),
    ]
}

/// Per lane, entry `digits[lane]` of the table, every entry read.
///
/// # Safety
/// The processor has AVX-512 F.
#[target_feature(enable = "avx512f")]
pub unsafe fn select<const L: usize>(table: &[Lanes<L>], digits: &[u64; 8], out: &mut Lanes<L>) {
    // SAFETY: unaligned load of eight numbers; the rest are vectors of L each.
    unsafe {
        let digits = _mm512_loadu_si512(digits.as_ptr().cast());
        let mut masks: [__mmask8; 64] = [0; 64];
        for e in 0..64 {
            masks[e] = _mm512_cmpeq_epi64_mask(digits, _mm512_set1_epi64(e as i64));
        }
        for i in (0..L).step_by(B) {
            let mut x = [_mm512_setzero_si512(); B];
            for (entry, &mask) in table.iter().zip(&masks) {
                let v = entry.vectors().add(i);
                for k in 0..B {
                    x[k] = _mm512_mask_mov_epi64(x[k], mask, *v.add(k));
                }
            }
            for k in 0..B {
                *out.vectors_mut().add(i + k) = x[k];
            }
        }
    }
}

/// Per lane, entry `digits[lane]` of 256 shared by all: limb i of entry e is `plane[256 i + e]`. Every entry is read.
///
/// # Safety
/// The processor has AVX-512 F; the plane has 256 L numbers.
#[target_feature(enable = "avx512f")]
pub unsafe fn lookup<const L: usize>(plane: *const u64, digits: &[u64; 8], out: &mut Lanes<L>) {
    // SAFETY: 32 vectors are read for each limb.
    unsafe {
        let digits = _mm512_loadu_si512(digits.as_ptr().cast());
        let high = _mm512_srli_epi64::<4>(digits);
        let mut masks: [__mmask8; 16] = [0; 16];
        for e in 0..16 {
            masks[e] = _mm512_cmpeq_epi64_mask(high, _mm512_set1_epi64(e as i64));
        }
        for i in 0..L {
            let row: *const __m512i = plane.add(256 * i).cast();
            let mut x = _mm512_setzero_si512();
            for e in 0..16 {
                let (low, high) = (
                    _mm512_loadu_si512(row.add(2 * e)),
                    _mm512_loadu_si512(row.add(2 * e + 1)),
                );
                x = _mm512_mask_mov_epi64(x, masks[e], _mm512_permutex2var_epi64(low, digits, high));
            }
            *out.vectors_mut().add(i) = x;
        }
    }
}
