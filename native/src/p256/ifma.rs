//! Eight numbers modulo p side by side, in five limbs of 52 bits each, by AVX-512 IFMA.
//!
//! Montgomery form with factor 2^260. Between operations all limbs are below 2^52 and values below 16 p < 2^260.
//! p = -1 modulo 2^96, so that the multiplier of a reduction step is the lowest limb itself, and of p three
//! limbs remain: (p + 1) / 2^52 = 2^44 + 2^140 + ..., see `reduce`. A multiplication takes 80 of the processor's
//! multiply-add instructions, a square 60. No instruction's time depends on values.

use std::arch::x86_64::*;

use super::field::{Field, Words};

#[derive(Clone, Copy)]
pub struct Eight([__m512i; 5]);

const LIMB: u64 = (1 << 52) - 1;
/// p in limbs.
const P: [u64; 5] = [LIMB, (1 << 44) - 1, 0, 1 << 36, 0xffff_ffff_0000];

const fn all(x: u64) -> __m512i {
    // SAFETY: both are 64 bytes, and any bytes are a vector.
    unsafe { std::mem::transmute::<[u64; 8], __m512i>([x; 8]) }
}

const fn constant(limbs: [u64; 5]) -> Eight {
    Eight([
        all(limbs[0]),
        all(limbs[1]),
        all(limbs[2]),
        all(limbs[3]),
        all(limbs[4]),
    ])
}

/// What every function here needs; `crate::mode` asked the processor for it.
macro_rules! vector {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty $body:block)*) => {
        $($(#[$meta])*
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
        #[inline]
        fn $name($($arg: $type),*) -> $result $body)*
    };
}

vector! {
    /// t += a b, column by column: ten more numbers below 2^52 in each.
    fn accumulate(t: [__m512i; 10], a: &Eight, b: &Eight) -> [__m512i; 10] {
        let mut t = t;
        for i in 0..5 {
            for j in 0..5 {
                t[i + j] = _mm512_madd52lo_epu64(t[i + j], a.0[i], b.0[j]);
                t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a.0[i], b.0[j]);
            }
        }
        t
    }

    /// t / 2^260 modulo p for columns below 2^57: below t / 2^260 + p, limbs carried.
    ///
    /// With m the low limb of a column (what a multiply-add reads of it), m p = m 2^96 + m 2^192 +
    /// m (2^256 - 2^224) - m clears the limb; the rest of the column moves up. 2^96 and 2^192 are 2^44 one limb up
    /// and 2^36 three limbs up. Columns stay below 2^58.
    fn reduce(t: [__m512i; 10]) -> Eight {
        let mut t = t;
        let (two_44, two_36, top) = (all(1 << 44), all(1 << 36), all(P[4]));
        for i in 0..5 {
            let m = t[i];
            t[i + 1] = _mm512_add_epi64(t[i + 1], _mm512_srli_epi64::<52>(m));
            t[i + 1] = _mm512_madd52lo_epu64(t[i + 1], m, two_44);
            t[i + 2] = _mm512_madd52hi_epu64(t[i + 2], m, two_44);
            t[i + 3] = _mm512_madd52lo_epu64(t[i + 3], m, two_36);
            t[i + 4] = _mm512_madd52hi_epu64(t[i + 4], m, two_36);
            t[i + 4] = _mm512_madd52lo_epu64(t[i + 4], m, top);
            t[i + 5] = _mm512_madd52hi_epu64(t[i + 5], m, top);
        }
        carry([t[5], t[6], t[7], t[8], t[9]])
    }

    /// Limbs of either sign, below 2^62, carried upwards; the value is from 0 to below 2^260.
    fn carry(t: [__m512i; 5]) -> Eight {
        let mut t = t;
        for i in 0..4 {
            t[i + 1] = _mm512_add_epi64(t[i + 1], _mm512_srai_epi64::<52>(t[i]));
            t[i] = _mm512_and_si512(t[i], all(LIMB));
        }
        Eight(t)
    }

    fn mul(a: &Eight, b: &Eight) -> Eight {
        reduce(accumulate([_mm512_setzero_si512(); 10], a, b))
    }

    fn dual(a: &Eight, b: &Eight, c: &Eight, d: &Eight) -> Eight {
        reduce(accumulate(accumulate([_mm512_setzero_si512(); 10], a, b), c, d))
    }

    fn sqr(a: &Eight) -> Eight {
        let a = &a.0;
        let mut t = [_mm512_setzero_si512(); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                t[i + j] = _mm512_madd52lo_epu64(t[i + j], a[i], a[j]);
                t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a[i], a[j]);
            }
        }
        for t in &mut t[1..9] {
            *t = _mm512_add_epi64(*t, *t);
        }
        for i in 0..5 {
            t[2 * i] = _mm512_madd52lo_epu64(t[2 * i], a[i], a[i]);
            t[2 * i + 1] = _mm512_madd52hi_epu64(t[2 * i + 1], a[i], a[i]);
        }
        reduce(t)
    }

    /// v - h p where h is about v / 2^256: carried, from 0 to below 2^256 + 2^233, for v from 0 to below 2^264.
    ///
    /// Limbs are below 2^58, of either sign, so that all but the top one make less than 2^215. h is the top limb
    /// shifted. With c = 2^256 - p, 2^223 < c < 2^224, what remains is the top limb's low bits and h c, not
    /// negative, plus the lower limbs. For h > 0 these make up for nothing larger than h c; for h = 0 nothing is
    /// changed; h < 0 is -1, because v >= 0, and then p is added.
    fn fold(t: [__m512i; 5]) -> Eight {
        let mut t = t;
        let h = _mm512_srai_epi64::<48>(t[4]);
        t[4] = _mm512_and_si512(t[4], all((1 << 48) - 1));
        t[0] = _mm512_add_epi64(t[0], h);
        t[1] = _mm512_sub_epi64(t[1], _mm512_slli_epi64::<44>(h));
        t[3] = _mm512_sub_epi64(t[3], _mm512_slli_epi64::<36>(h));
        t[4] = _mm512_add_epi64(t[4], _mm512_slli_epi64::<16>(h));
        carry(t)
    }

    fn zeros(x: &Eight) -> u8 {
        let x = &x.0;
        let any = _mm512_or_si512(_mm512_or_si512(x[0], x[1]), _mm512_or_si512(_mm512_or_si512(x[2], x[3]), x[4]));
        let differs = |i: usize| _mm512_xor_si512(x[i], all(P[i]));
        let other = _mm512_or_si512(
            _mm512_or_si512(differs(0), differs(1)),
            _mm512_or_si512(_mm512_or_si512(differs(2), differs(3)), differs(4)),
        );
        _mm512_testn_epi64_mask(any, any) | _mm512_testn_epi64_mask(other, other)
    }

    fn maybe_zeros(x: &Eight) -> u8 {
        let low = x.0[0];
        _mm512_testn_epi64_mask(low, low) | _mm512_cmpeq_epi64_mask(low, all(LIMB))
    }

    fn select(mask: u8, x: &Eight, y: &Eight) -> Eight {
        let mut chosen = *x;
        for i in 0..5 {
            chosen.0[i] = _mm512_mask_blend_epi64(mask, x.0[i], y.0[i]);
        }
        chosen
    }

    /// x or x - p, whichever is from 0 to p - 1, for x below 2 p.
    fn canonical(x: &Eight) -> Eight {
        let mut less = x.0;
        for i in 0..5 {
            less[i] = _mm512_sub_epi64(less[i], all(P[i]));
        }
        let less = carry(less);
        let negative = _mm512_movepi64_mask(less.0[4]);
        select(negative, &less, x)
    }

    fn pack(x: &Eight) -> Words {
        let x = &x.0;
        let join = |low, high| _mm512_or_si512(low, high);
        let words = [
            join(x[0], _mm512_slli_epi64::<52>(x[1])),
            join(_mm512_srli_epi64::<12>(x[1]), _mm512_slli_epi64::<40>(x[2])),
            join(_mm512_srli_epi64::<24>(x[2]), _mm512_slli_epi64::<28>(x[3])),
            join(_mm512_srli_epi64::<36>(x[3]), _mm512_slli_epi64::<16>(x[4])),
        ];
        // SAFETY: both are 256 bytes, and any bytes are words.
        unsafe { std::mem::transmute::<[__m512i; 4], Words>(words) }
    }

    fn unpack(words: &Words) -> Eight {
        // SAFETY: both are 256 bytes, and any bytes are vectors.
        let w = unsafe { std::mem::transmute::<Words, [__m512i; 4]>(*words) };
        let join = |low, high| _mm512_and_si512(_mm512_or_si512(low, high), all(LIMB));
        Eight([
            _mm512_and_si512(w[0], all(LIMB)),
            join(_mm512_srli_epi64::<52>(w[0]), _mm512_slli_epi64::<12>(w[1])),
            join(_mm512_srli_epi64::<40>(w[1]), _mm512_slli_epi64::<24>(w[2])),
            join(_mm512_srli_epi64::<28>(w[2]), _mm512_slli_epi64::<36>(w[3])),
            _mm512_srli_epi64::<16>(w[3]),
        ])
    }

    fn leave(x: &Eight) -> Words {
        pack(&canonical(&mul(x, &constant([1, 0, 0, 0, 0]))))
    }

    fn freeze(x: &Eight) -> Words {
        pack(&canonical(x))
    }

    /// Four words of eight rows to four vectors: transposed.
    fn gather(rows: [__m256i; 8]) -> [__m512i; 4] {
        let pair = |i: usize| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(rows[i]), rows[i + 4]);
        let z = [pair(0), pair(1), pair(2), pair(3)];
        let (a, b) = (_mm512_unpacklo_epi64(z[0], z[1]), _mm512_unpackhi_epi64(z[0], z[1]));
        let (c, d) = (_mm512_unpacklo_epi64(z[2], z[3]), _mm512_unpackhi_epi64(z[2], z[3]));
        let low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        let high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        [
            _mm512_permutex2var_epi64(a, low, c),
            _mm512_permutex2var_epi64(b, low, d),
            _mm512_permutex2var_epi64(a, high, c),
            _mm512_permutex2var_epi64(b, high, d),
        ]
    }

    fn load_bytes(row: &[u8; 32]) -> __m256i {
        // SAFETY: 32 bytes that may be read.
        unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
    }

    fn load_all(rows: &[&[u8; 32]; 8]) -> [__m512i; 4] {
        gather([
            load_bytes(rows[0]), load_bytes(rows[1]), load_bytes(rows[2]), load_bytes(rows[3]),
            load_bytes(rows[4]), load_bytes(rows[5]), load_bytes(rows[6]), load_bytes(rows[7]),
        ])
    }

    fn load_words(row: &[u64; 20], part: usize) -> __m256i {
        let words: &[u64; 4] = row[4 * part..][..4].try_into().unwrap();
        // SAFETY: 32 bytes that may be read.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    /// The inverse of `gather`.
    fn scatter(x: [__m512i; 4]) -> [__m256i; 8] {
        let (a, b) = (_mm512_unpacklo_epi64(x[0], x[1]), _mm512_unpackhi_epi64(x[0], x[1]));
        let (c, d) = (_mm512_unpacklo_epi64(x[2], x[3]), _mm512_unpackhi_epi64(x[2], x[3]));
        let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        let (r02, r46) = (_mm512_permutex2var_epi64(a, low, c), _mm512_permutex2var_epi64(a, high, c));
        let (r13, r57) = (_mm512_permutex2var_epi64(b, low, d), _mm512_permutex2var_epi64(b, high, d));
        let first = |x| _mm512_castsi512_si256(x);
        let second = |x| _mm512_extracti64x4_epi64::<1>(x);
        [
            first(r02), first(r13), second(r02), second(r13),
            first(r46), first(r57), second(r46), second(r57),
        ]
    }

    fn splat(limbs: &[u64; 5]) -> Eight {
        let mut x = [_mm512_setzero_si512(); 5];
        for i in 0..5 {
            x[i] = _mm512_set1_epi64(limbs[i] as i64);
        }
        Eight(x)
    }

    fn read_rows(rows: [&[u64; 20]; 8]) -> ([Eight; 4], u8) {
        let part = |k: usize| {
            gather([
                load_words(rows[0], k), load_words(rows[1], k), load_words(rows[2], k), load_words(rows[3], k),
                load_words(rows[4], k), load_words(rows[5], k), load_words(rows[6], k), load_words(rows[7], k),
            ])
        };
        let v = [part(0), part(1), part(2), part(3), part(4)];
        let flat = |i: usize| v[i / 4][i % 4];
        let number = |i: usize| Eight([flat(i), flat(i + 1), flat(i + 2), flat(i + 3), flat(i + 4)]);
        let flags = _mm512_movepi64_mask(flat(19));
        let mut last = number(15);
        last.0[4] = _mm512_and_si512(last.0[4], all(LIMB));
        ([number(0), number(5), number(10), last], flags)
    }

    fn write_rows(numbers: &[Eight; 4], flags: u8) -> [[__m256i; 8]; 5] {
        let mut last = numbers[3];
        last.0[4] = _mm512_mask_or_epi64(last.0[4], flags, last.0[4], all(1 << 63));
        let all = [numbers[0].0, numbers[1].0, numbers[2].0, last.0];
        let flat = |i: usize| all[i / 5][i % 5];
        let part = |k: usize| scatter([flat(4 * k), flat(4 * k + 1), flat(4 * k + 2), flat(4 * k + 3)]);
        [part(0), part(1), part(2), part(3), part(4)]
    }

    /// The number `table[5 * 128 * k + 128 * limb + index]` for each lane: all entries are read, whatever the indices,
    /// which are below 128.
    fn look_up(table: &[u64; 640], index: __m512i) -> Eight {
        let mut limbs = [_mm512_setzero_si512(); 5];
        let bit = |i: i64| _mm512_test_epi64_mask(index, _mm512_set1_epi64(1 << i));
        let (b4, b5, b6) = (bit(4), bit(5), bit(6));
        for limb in 0..5 {
            // SAFETY: 8 words from below 640.
            let part = |i: usize| unsafe { _mm512_loadu_si512(table[128 * limb + 8 * i..][..8].as_ptr().cast()) };
            let sixteen = |i: usize| _mm512_permutex2var_epi64(part(2 * i), index, part(2 * i + 1));
            let choose = |mask, x, y| _mm512_mask_blend_epi64(mask, x, y);
            let thirty_two = |i: usize| choose(b4, sixteen(2 * i), sixteen(2 * i + 1));
            let low = choose(b5, thirty_two(0), thirty_two(1));
            let high = choose(b5, thirty_two(2), thirty_two(3));
            limbs[limb] = choose(b6, low, high);
        }
        Eight(limbs)
    }

    fn load_lanes(words: &[u64; 8]) -> __m512i {
        // SAFETY: 64 bytes that may be read.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    fn equal_lanes(words: &[u64; 8], x: u64) -> u8 {
        _mm512_cmpeq_epi64_mask(load_lanes(words), _mm512_set1_epi64(x as i64))
    }
}

/// t + C x, for a few C that occur.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
#[inline]
fn add_multiple<const C: i32>(t: __m512i, x: __m512i) -> __m512i {
    let twice = _mm512_add_epi64(x, x);
    let multiple = match C.unsigned_abs() {
        0 => return t,
        1 => x,
        2 => twice,
        3 => _mm512_add_epi64(twice, x),
        4 => _mm512_slli_epi64::<2>(x),
        8 => _mm512_slli_epi64::<3>(x),
        9 => _mm512_add_epi64(_mm512_slli_epi64::<3>(x), x),
        _ => unreachable!(),
    };
    if C > 0 {
        _mm512_add_epi64(t, multiple)
    } else {
        _mm512_sub_epi64(t, multiple)
    }
}

/// A x + B y + C z + K p, not carried.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
#[inline]
fn combine<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Eight]) -> [__m512i; 5] {
    let mut t = [_mm512_setzero_si512(); 5];
    for i in 0..5 {
        t[i] = all(K as u64 * P[i]);
        t[i] = add_multiple::<A>(t[i], terms[0].0[i]);
        if B != 0 {
            t[i] = add_multiple::<B>(t[i], terms[1].0[i]);
        }
        if C != 0 {
            t[i] = add_multiple::<C>(t[i], terms[2].0[i]);
        }
    }
    t
}

// SAFETY (of every call below): an `Eight` is worked with only where `crate::mode` found the instructions.
impl Field for Eight {
    const LANES: usize = 8;
    const WINDOW: usize = 8;
    const STRAUS: usize = 100;
    const ZERO: Self = constant([0; 5]);
    const ONE: Self = constant(super::constants::IFMA.one);
    const B: Self = constant(super::constants::IFMA.b);
    const Z: Self = constant(super::constants::IFMA.z);
    const ROOT_10: Self = constant(super::constants::IFMA.root_10);
    const ENTER: Self = constant(super::constants::IFMA.enter);
    const ENTER_256: Self = constant(super::constants::IFMA.enter_256);

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        unsafe { mul(self, other) }
    }

    #[inline(always)]
    fn sqr(&self) -> Self {
        unsafe { sqr(self) }
    }

    #[inline(always)]
    fn dual(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        unsafe { dual(a, b, c, d) }
    }

    #[inline(always)]
    fn sum<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self {
        unsafe { carry(combine::<A, B, C, K>(terms)) }
    }

    #[inline(always)]
    fn folded<const A: i32, const B: i32, const C: i32, const K: i64>(terms: &[&Self]) -> Self {
        unsafe { fold(combine::<A, B, C, K>(terms)) }
    }

    #[inline(always)]
    fn zeros(&self) -> u8 {
        unsafe { zeros(self) }
    }

    #[inline(always)]
    fn maybe_zeros(&self) -> u8 {
        unsafe { maybe_zeros(self) }
    }

    #[inline(always)]
    fn select(mask: u8, x: &Self, y: &Self) -> Self {
        unsafe { select(mask, x, y) }
    }

    #[inline(always)]
    fn leave(&self) -> Words {
        unsafe { leave(self) }
    }

    #[inline(always)]
    fn raw(words: &Words) -> Self {
        unsafe { unpack(words) }
    }

    #[inline(always)]
    fn thaw(words: &Words) -> Self {
        unsafe { unpack(words) }
    }

    #[inline(always)]
    fn freeze(&self) -> Words {
        unsafe { freeze(self) }
    }

    #[inline(always)]
    fn gather(rows: [&[u8; 32]; 8]) -> Words {
        // SAFETY: as above; both are 256 bytes, and any bytes are words.
        unsafe { std::mem::transmute::<[__m512i; 4], Words>(load_all(&rows)) }
    }

    #[inline(always)]
    fn scatter(words: &Words) -> [[u8; 32]; 8] {
        // SAFETY: as above; sizes agree, and any bytes are bytes or vectors.
        unsafe {
            let rows = scatter(std::mem::transmute::<Words, [__m512i; 4]>(*words));
            std::mem::transmute::<[__m256i; 8], [[u8; 32]; 8]>(rows)
        }
    }

    #[inline(always)]
    fn lay(words: [u64; 4]) -> [u64; 5] {
        [
            words[0] & LIMB,
            (words[0] >> 52 | words[1] << 12) & LIMB,
            (words[1] >> 40 | words[2] << 24) & LIMB,
            (words[2] >> 28 | words[3] << 36) & LIMB,
            words[3] >> 16,
        ]
    }

    #[inline(always)]
    fn splat(limbs: &[u64; 5]) -> Self {
        unsafe { splat(limbs) }
    }

    #[inline(always)]
    fn read_rows(rows: [&[u64; 20]; 8]) -> ([Self; 4], u8) {
        unsafe { read_rows(rows) }
    }

    #[inline(always)]
    fn write_rows(numbers: &[Self; 4], flags: u8, to: &mut [[u64; 20]], at: &[usize; 8]) {
        // SAFETY: as above; sizes agree, and any bytes are words.
        let parts = unsafe {
            std::mem::transmute::<[[__m256i; 8]; 5], [[[u64; 4]; 8]; 5]>(write_rows(numbers, flags))
        };
        for lane in 0..8 {
            let row = &mut to[at[lane]];
            for k in 0..5 {
                row[4 * k..][..4].copy_from_slice(&parts[k][lane]);
            }
        }
    }

    #[inline(always)]
    fn look_up(table: &[u64], index: &[u64; 8]) -> Self {
        unsafe { look_up(table.try_into().unwrap(), load_lanes(index)) }
    }

    #[inline(always)]
    fn equal_lanes(words: &[u64; 8], x: u64) -> u8 {
        unsafe { equal_lanes(words, x) }
    }
}
