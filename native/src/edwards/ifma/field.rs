//! Eight numbers modulo p = 2^255 - 19 at once, in AVX-512 registers: five limbs of 51 bits in 64-bit lanes.
//!
//! Bounds, for every limb of every lane:
//!
//!     F      below 2^52, which is what vpmadd52 reads; after `carry` below 2^51 + 2^18 ("tight")
//!     Wide   a sum that is still to be carried: below 2^63; a subtrahend is below 2^60
//!
//! A product of tight numbers is below 2^59 (see `mul`), so the formulas add and subtract products
//! freely and carry once. All functions do the same instructions for all values.
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

#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Wide(pub [__m512i; 5]);

/// One bit for each lane.
pub type Mask = u8;

const LIMB: i64 = (1 << 51) - 1;
/// 2^10 p, of which every limb is above 2^60.
const BIAS_0: i64 = ((1 << 51) - 19) << 10;
const BIAS: i64 = LIMB << 10;

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

impl F {
    #[inline(always)]
    pub fn splat(limbs: &Limbs) -> F {
        F([
            splat(limbs[0] as i64),
            splat(limbs[1] as i64),
            splat(limbs[2] as i64),
            splat(limbs[3] as i64),
            splat(limbs[4] as i64),
        ])
    }

    /// Cost: 50 multiplications, 42 additions and shifts.
    ///
    /// With tight factors the low halves are below 2^52 and the high ones below 2^50 + 2^20; five of
    /// each at most meet in a limb, and those above limb 4 count 19 times: below
    /// 2^52 + 19 (4 2^52 + 5 (2^51 + 2^21)) < 2^59. With any factors below 2^52: below 2^61.
    #[inline(always)]
    pub fn mul(&self, other: &F) -> Wide {
        let (a, b) = (&self.0, &other.0);
        let (mut low, mut high) = ([zero(); 9], [zero(); 9]);
        for i in 0..5 {
            for j in 0..5 {
                low[i + j] = madd_lo(low[i + j], a[i], b[j]);
                high[i + j] = madd_hi(high[i + j], a[i], b[j]);
            }
        }
        fold::<true>(&low, &high)
    }

    /// Cost: 30 multiplications, 56 additions and shifts. Bounds as those of `mul`.
    #[inline(always)]
    pub fn square(&self) -> Wide {
        let a = &self.0;
        let (mut low, mut high) = ([zero(); 9], [zero(); 9]);
        for i in 0..5 {
            for j in i + 1..5 {
                low[i + j] = madd_lo(low[i + j], a[i], a[j]);
                high[i + j] = madd_hi(high[i + j], a[i], a[j]);
            }
        }
        for k in 1..8 {
            low[k] = add(low[k], low[k]);
            high[k] = add(high[k], high[k]);
        }
        for i in 0..5 {
            low[2 * i] = madd_lo(low[2 * i], a[i], a[i]);
            high[2 * i] = madd_hi(high[2 * i], a[i], a[i]);
        }
        fold::<false>(&low, &high)
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

    /// The number below p that is the same; limbs below 2^51.
    #[inline(always)]
    pub fn canonical(&self) -> F {
        let mask = splat(LIMB);
        let mut a = self.0;
        // Limbs below 2^51 but for the lowest, which 19 may have left above by one carry: the number is
        // below 2^255 + 19.
        for _ in 0..2 {
            for k in 0..4 {
                a[k + 1] = add(a[k + 1], shr::<51>(a[k]));
                a[k] = and(a[k], mask);
            }
            a[0] = madd_lo(a[0], shr::<51>(a[4]), splat(19));
            a[4] = and(a[4], mask);
        }
        // Whether a >= p, that is a + 19 >= 2^255.
        let mut carry = shr::<51>(add(a[0], splat(19)));
        for limb in &a[1..] {
            carry = shr::<51>(add(*limb, carry));
        }
        a[0] = madd_lo(a[0], carry, splat(19));
        for k in 0..4 {
            a[k + 1] = add(a[k + 1], shr::<51>(a[k]));
            a[k] = and(a[k], mask);
        }
        a[4] = and(a[4], mask);
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
        lanes(or(self.0[0], shl::<51>(self.0[1])))
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

    /// Adds 2^61 to every limb at most; the subtrahend is below 2^60.
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

    /// A tight number: a carry is below 2^13, and 19 times that below 2^18.
    #[inline(always)]
    pub fn carry(&self) -> F {
        let (z, mask) = (&self.0, splat(LIMB));
        let mut result = F([zero(); 5]);
        result.0[0] = madd_lo(and(z[0], mask), shr::<51>(z[4]), splat(19));
        for k in 1..5 {
            result.0[k] = add(and(z[k], mask), shr::<51>(z[k - 1]));
        }
        result
    }
}

/// The limbs of a product, where high halves count twice (2^52 = 2 2^51) and 2^255 = 19.
///
/// 19 = 1 + 2 + 16. Of shifts and additions LLVM makes one 64-bit multiplication: three instructions of the one unit
/// that multiplies, which a square has to spare and a product has not. A rotation is left as it is.
#[inline(always)]
fn fold<const ROTATE: bool>(low: &[__m512i; 9], high: &[__m512i; 9]) -> Wide {
    let mut result = Wide([zero(); 5]);
    for k in 0..5 {
        let mut above = add(high[k + 4], high[k + 4]);
        if k < 4 {
            above = add(above, low[k + 5]);
        }
        let mut limb = low[k];
        if k > 0 {
            limb = add(limb, add(high[k - 1], high[k - 1]));
        }
        let three = add(above, add(above, above));
        let sixteen = if ROTATE {
            unsafe { _mm512_rol_epi64::<4>(above) } // below 2^60
        } else {
            shl::<4>(above)
        };
        result.0[k] = add(limb, add(three, sixteen));
    }
    result
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
