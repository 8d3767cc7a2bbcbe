//! Eight numbers modulo p = 2^255 - 19, one after the other: five limbs of 51 bits in 64-bit words.
//!
//! The twin of ifma/field.rs with the same names. Limbs of numbers are below 2^51 + 2^18 ("tight"), of sums that
//! are still to be carried below 2^63, of subtrahends below 2^60. All functions do the same operations for all values.

use super::super::constants::Limbs;

#[derive(Clone, Copy)]
pub struct F(pub [Limbs; 8]);

/// A number that is only multiplied.
pub type Factor = F;

#[derive(Clone, Copy)]
pub struct Wide(pub [Limbs; 8]);

/// One bit for each lane.
pub type Mask = u8;

#[cfg(test)]
pub const BITS: u32 = 51;
const LIMB: u64 = (1 << 51) - 1;
/// The highest limbs of `F`.
#[cfg(test)]
pub const MOST: Limbs = [LIMB + (1 << 18); 5];
/// 2^10 p, of which every limb is above 2^60.
const BIAS: Limbs = [
    ((1 << 51) - 19) << 10,
    LIMB << 10,
    LIMB << 10,
    LIMB << 10,
    LIMB << 10,
];

fn each(f: impl Fn(usize) -> Limbs) -> [Limbs; 8] {
    [f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)]
}

fn mask(test: impl Fn(usize) -> bool) -> Mask {
    let mut mask = 0;
    for lane in 0..8 {
        mask |= (test(lane) as u8) << lane;
    }
    mask
}

/// All ones where the mask has a bit.
pub fn ones(mask: Mask, lane: usize) -> u64 {
    std::hint::black_box((mask >> lane & 1) as u64).wrapping_neg()
}

impl F {
    pub fn splat(limbs: &Limbs) -> F {
        F([*limbs; 8])
    }

    /// With factors below 2^52 the sums of products are below 2^110, and the result is tight.
    pub fn mul(&self, other: &F) -> Wide {
        Wide(each(|lane| mul(&self.0[lane], &other.0[lane])))
    }

    /// Bounds as those of `mul`.
    pub fn square(&self) -> Wide {
        Wide(each(|lane| square(&self.0[lane])))
    }

    pub fn add(&self, other: &F) -> Wide {
        self.wide().add(&other.wide())
    }

    pub fn sub(&self, other: &F) -> Wide {
        self.wide().sub(&other.wide())
    }

    pub fn neg(&self) -> Wide {
        Wide([[0; 5]; 8]).sub(&self.wide())
    }

    pub fn wide(&self) -> Wide {
        Wide(self.0)
    }

    /// `other` where the mask has a bit.
    pub fn select(&self, mask: Mask, other: &F) -> F {
        let mut result = *self;
        for lane in 0..8 {
            let ones = ones(mask, lane);
            for k in 0..5 {
                result.0[lane][k] ^= ones & (self.0[lane][k] ^ other.0[lane][k]);
            }
        }
        result
    }

    /// The number below p that is the same; limbs below 2^51.
    pub fn canonical(&self) -> F {
        F(each(|lane| canonical(self.0[lane])))
    }

    /// Where the number is odd; of canonical numbers.
    pub fn odd(&self) -> Mask {
        mask(|lane| self.0[lane][0] & 1 == 1)
    }

    /// Where the number is 0; of canonical numbers.
    pub fn zero(&self) -> Mask {
        mask(|lane| self.0[lane].iter().fold(0, |all, limb| all | limb) == 0)
    }

    /// Where two numbers are the same; of canonical numbers.
    pub fn same(&self, other: &F) -> Mask {
        mask(|lane| (0..5).fold(0, |all, k| all | (self.0[lane][k] ^ other.0[lane][k])) == 0)
    }

    /// The low 64 bits; of canonical numbers.
    pub fn low_words(&self) -> [u64; 8] {
        self.0.map(|limbs| limbs[0] | limbs[1] << 51)
    }

    /// Lane i of the result is lane i + count modulo 8.
    pub fn rotate(&self, count: usize) -> F {
        F(each(|lane| self.0[(lane + count) % 8]))
    }

    #[cfg(test)]
    pub fn from_lanes(lanes: &[Limbs; 8]) -> F {
        F(*lanes)
    }

    pub fn to_lanes(&self) -> [Limbs; 8] {
        self.0
    }
}

impl Wide {
    pub fn add(&self, other: &Wide) -> Wide {
        let mut result = *self;
        for lane in 0..8 {
            for k in 0..5 {
                result.0[lane][k] += other.0[lane][k];
            }
        }
        result
    }

    /// Adds 2^61 to every limb at most; the subtrahend is below 2^60.
    pub fn sub(&self, other: &Wide) -> Wide {
        let mut result = *self;
        for lane in 0..8 {
            for k in 0..5 {
                result.0[lane][k] = self.0[lane][k] + BIAS[k] - other.0[lane][k];
            }
        }
        result
    }

    pub fn double(&self) -> Wide {
        self.add(self)
    }

    /// A tight number: a carry is below 2^13, and 19 times that below 2^18.
    pub fn carry(&self) -> F {
        let mut result = F(self.0);
        for (limbs, z) in result.0.iter_mut().zip(&self.0) {
            *limbs = [
                (z[0] & LIMB) + 19 * (z[4] >> 51),
                (z[1] & LIMB) + (z[0] >> 51),
                (z[2] & LIMB) + (z[1] >> 51),
                (z[3] & LIMB) + (z[2] >> 51),
                (z[4] & LIMB) + (z[3] >> 51),
            ];
        }
        result
    }

    pub fn factor(&self) -> Factor {
        self.carry()
    }
}

#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    a as u128 * b as u128
}

#[inline(always)]
fn mul(a: &Limbs, b: &Limbs) -> Limbs {
    let [b1, b2, b3, b4] = [19 * b[1], 19 * b[2], 19 * b[3], 19 * b[4]]; // below 2^57
    reduce([
        product(a[0], b[0]) + product(a[1], b4) + product(a[2], b3) + product(a[3], b2) + product(a[4], b1),
        product(a[0], b[1]) + product(a[1], b[0]) + product(a[2], b4) + product(a[3], b3) + product(a[4], b2),
        product(a[0], b[2])
            + product(a[1], b[1])
            + product(a[2], b[0])
            + product(a[3], b4)
            + product(a[4], b3),
        product(a[0], b[3])
            + product(a[1], b[2])
            + product(a[2], b[1])
            + product(a[3], b[0])
            + product(a[4], b4),
        product(a[0], b[4])
            + product(a[1], b[3])
            + product(a[2], b[2])
            + product(a[3], b[1])
            + product(a[4], b[0]),
    ])
}

#[inline(always)]
fn square(a: &Limbs) -> Limbs {
    let (a3, a4) = (19 * a[3], 19 * a[4]);
    let (twice_0, twice_1) = (2 * a[0], 2 * a[1]);
    reduce([
        product(a[0], a[0]) + product(twice_1, a4) + product(2 * a[2], a3),
        product(twice_0, a[1]) + product(2 * a[2], a4) + product(a[3], a3),
        product(twice_0, a[2]) + product(a[1], a[1]) + product(2 * a[3], a4),
        product(twice_0, a[3]) + product(twice_1, a[2]) + product(a[4], a4),
        product(twice_0, a[4]) + product(twice_1, a[3]) + product(a[2], a[2]),
    ])
}

/// Sums below 2^111 to limbs: the first carry is below 2^60, the last too, and 19 times it below 2^65 is split.
#[inline(always)]
fn reduce(mut sums: [u128; 5]) -> Limbs {
    for k in 0..4 {
        sums[k + 1] += sums[k] >> 51;
    }
    let mut limbs = sums.map(|sum| sum as u64 & LIMB);
    let first = limbs[0] as u128 + 19 * (sums[4] >> 51);
    limbs[0] = first as u64 & LIMB;
    limbs[1] += (first >> 51) as u64;
    limbs
}

fn canonical(mut a: Limbs) -> Limbs {
    for _ in 0..2 {
        for k in 0..4 {
            a[k + 1] += a[k] >> 51;
            a[k] &= LIMB;
        }
        a[0] += 19 * (a[4] >> 51);
        a[4] &= LIMB;
    }
    let mut carry = (a[0] + 19) >> 51;
    for limb in &a[1..] {
        carry = (limb + carry) >> 51;
    }
    a[0] += 19 * carry;
    for k in 0..4 {
        a[k + 1] += a[k] >> 51;
        a[k] &= LIMB;
    }
    a[4] &= LIMB;
    a
}
