//! Eight numbers modulo p = 2^255 - 19 at once, in AVX-512 registers: five limbs of 52 bits in 64-bit lanes.
//!
//! Bounds, for every limb of every lane:
//!
//!     F        below 2^52, and the highest below 2^47 + 2^14: a number below 2^255 + 2^222
//!     Factor   the same in the low 52 bits, which are all that vpmadd52 reads; above them is what
//!              the next limb has taken over already
//!     Wide     a sum that is still to be carried: below 2^62; a subtrahend is below 2^58
//!
//! A product is below 2^56 (see `mul`), so the formulas add and subtract products freely and carry once.
//! All functions do the same instructions for all values.
//!
//! Everything here is `inline(always)` and takes no target feature of its own: it becomes part of the
//! `kernels!` functions, which do.

// SAFETY (of every `unsafe` block in this file): the intrinsics ask for AVX-512 F, DQ, BW, VL and IFMA. This
// module is reached only by the functions that `kernels!` declares, which have these features and
// are called only after `crate::mode()` has found them. Loads and stores are unaligned ones of
// whole references to memory of that size.

use std::arch::x86_64::*;

use super::super::constants::Limbs;

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct F(pub [__m512i; 5]);

/// A number that is only multiplied.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Factor([__m512i; 5]);

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wide(pub [__m512i; 5]);

/// One bit for each lane.
pub type Mask = u8;

/// Bits of a limb, and of the highest one of a number below 2^255.
pub const BITS: u32 = 52;
const TOP_BITS: u32 = 47;
pub const LIMB: i64 = (1 << BITS) - 1;
pub const TOP: i64 = (1 << TOP_BITS) - 1;
/// The highest limbs of `F`.
#[cfg(test)]
pub const MOST: Limbs = [
    LIMB as u64,
    LIMB as u64,
    LIMB as u64,
    LIMB as u64,
    (1 << TOP_BITS) + (1 << 14) - 1,
];
/// 2^260 modulo p, and 2^255.
const FOLD: i64 = 19 << 5;
const FOLD_TOP: i64 = 19;
/// 2^12 p, with limbs of about 2^59 instead of 2^64.
const BIAS_0: i64 = (1 << 59) - (19 << 12);
const BIAS: i64 = (1 << 59) - (1 << 7);

/// Limbs of 51 bits as limbs of 52 bits.
const fn limbs_of_52(limbs: &Limbs) -> Limbs {
    let mask = LIMB as u64;
    [
        (limbs[0] | limbs[1] << 51) & mask,
        (limbs[1] >> 1 | limbs[2] << 50) & mask,
        (limbs[2] >> 2 | limbs[3] << 49) & mask,
        (limbs[3] >> 3 | limbs[4] << 48) & mask,
        limbs[4] >> 4,
    ]
}

#[inline(always)]
pub fn splat(x: i64) -> __m512i {
    unsafe { _mm512_set1_epi64(x) }
}

#[inline(always)]
pub fn add(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_add_epi64(a, b) }
}

#[inline(always)]
pub fn sub(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_sub_epi64(a, b) }
}

#[inline(always)]
pub fn and(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_and_si512(a, b) }
}

#[inline(always)]
pub fn or(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_or_si512(a, b) }
}

#[inline(always)]
pub fn shr<const N: u32>(a: __m512i) -> __m512i {
    unsafe { _mm512_srli_epi64::<N>(a) }
}

#[inline(always)]
pub fn shl<const N: u32>(a: __m512i) -> __m512i {
    unsafe { _mm512_slli_epi64::<N>(a) }
}

/// z + the low 52 bits of the product of the low 52 bits of a and b.
#[inline(always)]
pub fn madd_lo(z: __m512i, a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_madd52lo_epu64(z, a, b) }
}

/// z + that product divided by 2^52.
#[inline(always)]
pub fn madd_hi(z: __m512i, a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_madd52hi_epu64(z, a, b) }
}

#[inline(always)]
pub fn blend(mask: Mask, a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_mask_blend_epi64(mask, a, b) }
}

#[inline(always)]
fn zero() -> __m512i {
    unsafe { _mm512_setzero_si512() }
}

/// Adds the products of limbs i and j to columns i + j and i + j + 1. Without loops, which are not always unrolled.
macro_rules! add_products {
    ($columns:ident, $a:ident, $b:ident, $($i:literal $j:literal),*) => {
        $($columns[$i + $j] = madd_lo($columns[$i + $j], $a[$i], $b[$j]);)*
        $($columns[$i + $j + 1] = madd_hi($columns[$i + $j + 1], $a[$i], $b[$j]);)*
    };
}

/// Cost: 59 multiplications, 8 additions and shifts.
///
/// Products come in the order in which limbs are known, the highest last. Low and high halves below 2^52 meet
/// in a column: at most nine in the lower five, seven and a bit in the upper ones, where those of a highest
/// limb are small. In the highest column is a4 b4 / 2^52 < 2^42 + 2^10.
#[inline(always)]
fn mul(a: &[__m512i; 5], b: &[__m512i; 5]) -> Wide {
    let mut columns = [zero(); 10];
    add_products!(columns, a, b, 0 0);
    add_products!(columns, a, b, 0 1, 1 0, 1 1);
    add_products!(columns, a, b, 0 2, 1 2, 2 0, 2 1, 2 2);
    add_products!(columns, a, b, 0 3, 1 3, 2 3, 3 0, 3 1, 3 2, 3 3);
    add_products!(columns, a, b, 0 4, 1 4, 2 4, 3 4, 4 0, 4 1, 4 2, 4 3, 4 4);
    fold(columns)
}

/// Cost: 39 multiplications, 15 additions and shifts. Bounds as those of `mul`.
///
/// Twice the highest limb is still below 2^52, so that its products need not be doubled.
#[inline(always)]
fn square(a: &[__m512i; 5]) -> Wide {
    let mut columns = [zero(); 10];
    add_products!(columns, a, a, 0 1);
    add_products!(columns, a, a, 0 2, 1 2);
    add_products!(columns, a, a, 0 3, 1 3, 2 3);
    for column in &mut columns[1..7] {
        *column = add(*column, *column);
    }
    add_products!(columns, a, a, 0 0, 1 1, 2 2, 3 3);
    let highest = [zero(), zero(), zero(), zero(), add(a[4], a[4])];
    add_products!(columns, a, highest, 0 4, 1 4, 2 4, 3 4);
    add_products!(columns, a, a, 4 4);
    fold(columns)
}

/// The limbs of a product, with 2^260 = 608: below 2^56.
///
/// The upper columns are carried, but what was carried stays in them: vpmadd52 does not read it. The highest
/// is below 2^42 + 2^11, and 608 times it below 2^52: it has no high half.
#[inline(always)]
fn fold(columns: [__m512i; 10]) -> Wide {
    let [c0, c1, c2, c3, c4, mut upper @ ..] = columns;
    let mut result = [c0, c1, c2, c3, c4];
    let factor = splat(FOLD);
    for k in 0..4 {
        upper[k + 1] = add(upper[k + 1], shr::<BITS>(upper[k]));
    }
    for k in 0..4 {
        result[k] = madd_lo(result[k], upper[k], factor);
        result[k + 1] = madd_hi(result[k + 1], upper[k], factor);
    }
    result[4] = madd_lo(result[4], upper[4], factor);
    Wide(result)
}

impl Factor {
    #[inline(always)]
    pub fn mul(&self, other: &Factor) -> Wide {
        mul(&self.0, &other.0)
    }

    #[inline(always)]
    pub fn square(&self) -> Wide {
        square(&self.0)
    }
}

impl F {
    #[inline(always)]
    pub fn splat(limbs: &Limbs) -> F {
        F(limbs_of_52(limbs).map(|limb| splat(limb as i64)))
    }

    #[inline(always)]
    pub fn mul(&self, other: &F) -> Wide {
        mul(&self.0, &other.0)
    }

    #[inline(always)]
    pub fn square(&self) -> Wide {
        square(&self.0)
    }

    #[inline(always)]
    pub fn add(&self, other: &F) -> Wide {
        self.wide().add(&other.wide())
    }

    #[inline(always)]
    pub fn sub(&self, other: &F) -> Wide {
        self.wide().sub(&other.wide())
    }

    #[inline(always)]
    pub fn neg(&self) -> Wide {
        Wide([zero(); 5]).sub(&self.wide())
    }

    #[inline(always)]
    pub fn wide(&self) -> Wide {
        Wide(self.0)
    }

    /// `other` where the mask has a bit.
    #[inline(always)]
    pub fn select(&self, mask: Mask, other: &F) -> F {
        let mut result = *self;
        for k in 0..5 {
            result.0[k] = blend(mask, self.0[k], other.0[k]);
        }
        result
    }

    /// The number below p that is the same.
    #[inline(always)]
    pub fn canonical(&self) -> F {
        // Below 2^255 + 2^222: what is left of it is less than 2^255.
        let mut a = carried(&self.0);
        for limb in &mut a[..4] {
            *limb = and(*limb, splat(LIMB));
        }
        // Whether a >= p, that is a + 19 >= 2^255.
        let mut carry = shr::<BITS>(add(a[0], splat(19)));
        for limb in &a[1..4] {
            carry = shr::<BITS>(add(*limb, carry));
        }
        carry = shr::<TOP_BITS>(add(a[4], carry));
        a[0] = madd_lo(a[0], carry, splat(FOLD_TOP));
        for k in 0..4 {
            a[k + 1] = add(a[k + 1], shr::<BITS>(a[k]));
            a[k] = and(a[k], splat(LIMB));
        }
        a[4] = and(a[4], splat(TOP));
        F(a)
    }

    /// Where the number is odd; of canonical numbers.
    #[inline(always)]
    pub fn odd(&self) -> Mask {
        unsafe { _mm512_test_epi64_mask(self.0[0], splat(1)) }
    }

    /// Where the number is 0; of canonical numbers.
    #[inline(always)]
    pub fn zero(&self) -> Mask {
        let a = &self.0;
        let all = or(or(or(a[0], a[1]), or(a[2], a[3])), a[4]);
        unsafe { _mm512_testn_epi64_mask(all, all) }
    }

    /// Where two numbers are the same; of canonical numbers.
    #[inline(always)]
    pub fn same(&self, other: &F) -> Mask {
        let mut mask = 0xff;
        for k in 0..5 {
            mask &= unsafe { _mm512_cmpeq_epi64_mask(self.0[k], other.0[k]) };
        }
        mask
    }

    /// The low 64 bits; of canonical numbers.
    #[inline(always)]
    pub fn low_words(&self) -> [u64; 8] {
        lanes(or(self.0[0], shl::<BITS>(self.0[1])))
    }

    /// Lane i of the result is lane i + N modulo 8.
    #[inline(always)]
    pub fn rotate(&self, count: usize) -> F {
        let mut index = [0; 8];
        for lane in 0..8 {
            index[lane] = ((lane + count) % 8) as u64;
        }
        let index = vector(&index);
        let mut result = *self;
        for k in 0..5 {
            result.0[k] = unsafe { _mm512_permutexvar_epi64(index, self.0[k]) };
        }
        result
    }

    #[cfg(test)]
    pub fn from_lanes(lanes: &[Limbs; 8]) -> F {
        let mut result = F([zero(); 5]);
        for k in 0..5 {
            let mut limbs = [0; 8];
            for lane in 0..8 {
                limbs[lane] = lanes[lane][k];
            }
            result.0[k] = vector(&limbs);
        }
        result
    }

    #[inline(always)]
    pub fn to_lanes(&self) -> [Limbs; 8] {
        let mut result = [[0; 5]; 8];
        for k in 0..5 {
            let limbs = lanes(self.0[k]);
            for lane in 0..8 {
                result[lane][k] = limbs[lane];
            }
        }
        result
    }
}

impl Wide {
    #[inline(always)]
    pub fn add(&self, other: &Wide) -> Wide {
        let mut result = *self;
        for k in 0..5 {
            result.0[k] = add(self.0[k], other.0[k]);
        }
        result
    }

    /// Adds 2^59 to every limb; the subtrahend is below 2^58.
    #[inline(always)]
    pub fn sub(&self, other: &Wide) -> Wide {
        let mut result = *self;
        for k in 0..5 {
            let bias = splat(if k == 0 { BIAS_0 } else { BIAS });
            result.0[k] = sub(add(self.0[k], bias), other.0[k]);
        }
        result
    }

    #[inline(always)]
    pub fn double(&self) -> Wide {
        self.add(self)
    }

    /// The number with limbs as `F` has them.
    #[inline(always)]
    pub fn carry(&self) -> F {
        let mut limbs = carried(&self.0);
        for limb in &mut limbs[..4] {
            *limb = and(*limb, splat(LIMB));
        }
        F(limbs)
    }

    /// The same for what is only multiplied, which spares four instructions.
    #[inline(always)]
    pub fn factor(&self) -> Factor {
        Factor(carried(&self.0))
    }
}

/// Limbs below 2^62 carried from the lowest to the highest, after what is above 2^255: of that come less than
/// 19 2^15 to the lowest, and to the others less than 2^11. What was carried stays in the lower four.
#[inline(always)]
fn carried(z: &[__m512i; 5]) -> [__m512i; 5] {
    let mut limbs = *z;
    limbs[0] = madd_lo(limbs[0], shr::<TOP_BITS>(limbs[4]), splat(FOLD_TOP));
    limbs[4] = and(limbs[4], splat(TOP));
    for k in 0..4 {
        limbs[k + 1] = add(limbs[k + 1], shr::<BITS>(limbs[k]));
    }
    limbs
}

/// Eight words as a vector.
#[inline(always)]
pub fn vector(words: &[u64; 8]) -> __m512i {
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// The words of a vector.
#[inline(always)]
pub fn lanes(vector: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}
