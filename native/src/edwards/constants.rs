//! Numbers of edwards25519 as five limbs of 51 bits, the lowest first.
//!
//! The field is that of p = 2^255 - 19, the curve -x^2 + y^2 = 1 + d x^2 y^2. A test computes each again.

pub type Limbs = [u64; 5];

/// 0
pub const ZERO: Limbs = [0x0, 0x0, 0x0, 0x0, 0x0];
/// 1
pub const ONE: Limbs = [0x1, 0x0, 0x0, 0x0, 0x0];
/// -1
pub const MINUS_ONE: Limbs = [
    0x7ffffffffffec,
    0x7ffffffffffff,
    0x7ffffffffffff,
    0x7ffffffffffff,
    0x7ffffffffffff,
];
/// d = -121665/121666
pub const D: Limbs = [
    0x34dca135978a3,
    0x1a8283b156ebd,
    0x5e7a26001c029,
    0x739c663a03cbb,
    0x52036cee2b6ff,
];
/// 2 d
pub const D2: Limbs = [
    0x69b9426b2f159,
    0x35050762add7a,
    0x3cf44c0038052,
    0x6738cc7407977,
    0x2406d9dc56dff,
];
/// i, a root of -1 (2^((p-1)/4))
pub const SQRT_M1: Limbs = [
    0x61b274a0ea0b0,
    0xd5a5fc8f189d,
    0x7ef5e9cbd0c60,
    0x78595a6804c9e,
    0x2b8324804fc1d,
];
/// -i
pub const MINUS_SQRT_M1: Limbs = [
    0x1e4d8b5f15f3d,
    0x72a5a0370e762,
    0x10a16342f39f,
    0x7a6a597fb361,
    0x547cdb7fb03e2,
];
/// 1/sqrt(a - d), RFC 9496, section 4.1
pub const INVSQRT_A_MINUS_D: Limbs = [
    0xfdaa805d40ea,
    0x2eb482e57d339,
    0x7610274bc58,
    0x6510b613dc8ff,
    0x786c8905cfaff,
];
/// sqrt(a d - 1)
pub const SQRT_AD_MINUS_ONE: Limbs = [
    0x7f6a0497b2e1b,
    0x1836f0a97afd2,
    0x7d747f6be7638,
    0x456079e7e6498,
    0x376931bf2b834,
];
/// 1 - d^2
pub const ONE_MINUS_D_SQUARED: Limbs = [
    0x409c1945fc176,
    0x719abc6a1fc4f,
    0x1c37f90b20684,
    0x6bccca55eedf,
    0x29072a8b2b3e,
];
/// (d - 1)^2
pub const D_MINUS_ONE_SQUARED: Limbs = [
    0x55aaa44ed4d20,
    0x59603c3332635,
    0x26d3baf4a7928,
    0x120a66e6997a9,
    0x5968b37af66c2,
];
/// x of the base point
pub const BASE_X: Limbs = [
    0x62d608f25d51a,
    0x412a4b4f6592a,
    0x75b7171a4b31d,
    0x1ff60527118fe,
    0x216936d3cd6e5,
];
/// y of the base point
pub const BASE_Y: Limbs = [
    0x6666666666658,
    0x4cccccccccccc,
    0x1999999999999,
    0x3333333333333,
    0x6666666666666,
];
/// A of Montgomery's form v^2 = u^3 + A u^2 + u
pub const MONTGOMERY_A: Limbs = [0x76d06, 0x0, 0x0, 0x0, 0x0];
/// A - 2
pub const MONTGOMERY_A_MINUS_2: Limbs = [0x76d04, 0x0, 0x0, 0x0, 0x0];
/// 2 C, C = sqrt(-(A + 2)): v = C u / x
pub const MONTGOMERY_2C: Limbs = [
    0x40955fe8afc0c,
    0x452df46a0b31b,
    0x7e27bf62d0e9e,
    0x6bbd27b08dc03,
    0x1e4ddbe8c1400,
];
/// v of the point u = 1 of order 4, C/i
pub const QUARTER_V: Limbs = [
    0x248ef9c884415,
    0xe509526c7d34,
    0x7d29bbd8d6847,
    0x157e10fd3bd6b,
    0x6be4f497f9a9c,
];
/// sqrt((A^2 - 4)/i); A^2 - 4 and i are no squares
pub const HALF_TWIST: Limbs = [
    0x71277b3ba5222,
    0x2970a394eb516,
    0xb29a3e775c7b,
    0xf75f12ecb490,
    0x219fc5bc27acf,
];
/// The order of the group, 2^252 + 27742317777372353535851937790883648493, in words of 64 bits.
pub const ORDER: [u64; 4] = [0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0x0, 0x1000000000000000];
/// 1/8 modulo the order, in words of 64 bits.
pub const EIGHTH: [u64; 4] = [0x6106e529e2dc2f79, 0x7d39db37d1cdad0, 0x0, 0x600000000000000];
