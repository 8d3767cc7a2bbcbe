//! Between rows in memory and lanes, by transpositions in registers; and lookups in tables.

// SAFETY (of every `unsafe` block in this file): see field.rs. Addresses come from slices of at least
// the size that is read or written, by slicing, by references, or after `check`.

use std::arch::x86_64::*;

use super::super::rows::{ITEM, NONE, Record, TABLE_ENTRIES, TablePlanes, identity_item};
use super::field::*;

/// Column k of the result is word k of every row.
#[inline(always)]
fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    unsafe {
        let t0 = _mm512_unpacklo_epi64(r[0], r[1]);
        let t1 = _mm512_unpackhi_epi64(r[0], r[1]);
        let t2 = _mm512_unpacklo_epi64(r[2], r[3]);
        let t3 = _mm512_unpackhi_epi64(r[2], r[3]);
        let t4 = _mm512_unpacklo_epi64(r[4], r[5]);
        let t5 = _mm512_unpackhi_epi64(r[4], r[5]);
        let t6 = _mm512_unpacklo_epi64(r[6], r[7]);
        let t7 = _mm512_unpackhi_epi64(r[6], r[7]);
        let (a, b) = (
            _mm512_shuffle_i64x2::<0x44>(t0, t2),
            _mm512_shuffle_i64x2::<0xee>(t0, t2),
        );
        let (c, d) = (
            _mm512_shuffle_i64x2::<0x44>(t4, t6),
            _mm512_shuffle_i64x2::<0xee>(t4, t6),
        );
        let (e, f) = (
            _mm512_shuffle_i64x2::<0x44>(t1, t3),
            _mm512_shuffle_i64x2::<0xee>(t1, t3),
        );
        let (g, h) = (
            _mm512_shuffle_i64x2::<0x44>(t5, t7),
            _mm512_shuffle_i64x2::<0xee>(t5, t7),
        );
        [
            _mm512_shuffle_i64x2::<0x88>(a, c),
            _mm512_shuffle_i64x2::<0x88>(e, g),
            _mm512_shuffle_i64x2::<0xdd>(a, c),
            _mm512_shuffle_i64x2::<0xdd>(e, g),
            _mm512_shuffle_i64x2::<0x88>(b, d),
            _mm512_shuffle_i64x2::<0x88>(f, h),
            _mm512_shuffle_i64x2::<0xdd>(b, d),
            _mm512_shuffle_i64x2::<0xdd>(f, h),
        ]
    }
}

/// Four words of each of eight rows, two rows in a register: rows k and k + 4.
#[inline(always)]
fn transpose_half(r: [__m512i; 4]) -> [__m512i; 4] {
    unsafe {
        let t0 = _mm512_unpacklo_epi64(r[0], r[1]);
        let t1 = _mm512_unpackhi_epi64(r[0], r[1]);
        let t2 = _mm512_unpacklo_epi64(r[2], r[3]);
        let t3 = _mm512_unpackhi_epi64(r[2], r[3]);
        let even = vector(&[0, 1, 8, 9, 4, 5, 12, 13]);
        let odd = vector(&[2, 3, 10, 11, 6, 7, 14, 15]);
        [
            _mm512_permutex2var_epi64(t0, even, t2),
            _mm512_permutex2var_epi64(t1, even, t3),
            _mm512_permutex2var_epi64(t0, odd, t2),
            _mm512_permutex2var_epi64(t1, odd, t3),
        ]
    }
}

/// The reverse: registers of rows k and k + 4.
#[inline(always)]
fn transpose_half_back(c: [__m512i; 4]) -> [__m512i; 4] {
    unsafe {
        // Rows 0, 2, 4, 6 and rows 1, 3, 5, 7, two words each.
        let t0 = _mm512_unpacklo_epi64(c[0], c[1]);
        let t1 = _mm512_unpackhi_epi64(c[0], c[1]);
        let t2 = _mm512_unpacklo_epi64(c[2], c[3]);
        let t3 = _mm512_unpackhi_epi64(c[2], c[3]);
        let low = vector(&[0, 1, 8, 9, 4, 5, 12, 13]); // rows 0 and 4, or 1 and 5
        let high = vector(&[2, 3, 10, 11, 6, 7, 14, 15]); // rows 2 and 6, or 3 and 7
        [
            _mm512_permutex2var_epi64(t0, low, t2),
            _mm512_permutex2var_epi64(t1, low, t3),
            _mm512_permutex2var_epi64(t0, high, t2),
            _mm512_permutex2var_epi64(t1, high, t3),
        ]
    }
}

#[inline(always)]
fn load(bytes: &[u8], start: usize) -> __m512i {
    let bytes: &[u8] = &bytes[start..start + 64];
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline(always)]
fn store(bytes: &mut [u8], start: usize, value: __m512i) {
    let bytes: &mut [u8] = &mut bytes[start..start + 64];
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value) }
}

/// Bit 255 is ignored.
#[inline(always)]
fn from_words(w: [__m512i; 4]) -> F {
    let mask = splat(LIMB);
    F([
        and(w[0], mask),
        and(or(shr::<52>(w[0]), shl::<12>(w[1])), mask),
        and(or(shr::<40>(w[1]), shl::<24>(w[2])), mask),
        and(or(shr::<28>(w[2]), shl::<36>(w[3])), mask),
        and(shr::<16>(w[3]), splat(TOP)),
    ])
}

/// Of a canonical number.
#[inline(always)]
fn to_words(a: &F) -> [__m512i; 4] {
    let a = &a.0;
    [
        or(a[0], shl::<52>(a[1])),
        or(shr::<12>(a[1]), shl::<40>(a[2])),
        or(shr::<24>(a[2]), shl::<28>(a[3])),
        or(shr::<36>(a[3]), shl::<16>(a[4])),
    ]
}

/// X, Y, Z, T of eight items; the identity where a row is `NONE`.
#[inline(always)]
pub fn load_items(items: &[u8], rows: &[usize; 8]) -> [F; 4] {
    let (mut first, mut second) = ([splat(0); 8], [splat(0); 8]);
    let identity = identity_item();
    for lane in 0..8 {
        let (from, start) = match rows[lane] {
            NONE => (&identity[..], 0),
            row => (items, row * ITEM),
        };
        first[lane] = load(from, start);
        second[lane] = load(from, start + 64);
    }
    let (a, b) = (transpose(first), transpose(second));
    [
        from_words([a[0], a[1], a[2], a[3]]),
        from_words([a[4], a[5], a[6], a[7]]),
        from_words([b[0], b[1], b[2], b[3]]),
        from_words([b[4], b[5], b[6], b[7]]),
    ]
}

/// Stores X, Y, Z, T, canonical, except where a row is `NONE`.
#[inline(always)]
pub fn store_items(items: &mut [u8], rows: &[usize; 8], point: &[F; 4]) {
    let (x, y, z, t) = (
        to_words(&point[0]),
        to_words(&point[1]),
        to_words(&point[2]),
        to_words(&point[3]),
    );
    let first = transpose([x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]]);
    let second = transpose([z[0], z[1], z[2], z[3], t[0], t[1], t[2], t[3]]);
    for lane in 0..8 {
        if rows[lane] != NONE {
            store(items, rows[lane] * ITEM, first[lane]);
            store(items, rows[lane] * ITEM + 64, second[lane]);
        }
    }
}

/// Numbers of 255 bits from rows of 32 bytes, 0 where a row is `NONE`; where bit 255 is set; and
/// where the number without it is below p.
#[inline(always)]
pub fn load_numbers(data: &[u8], rows: &[usize; 8]) -> (F, Mask, Mask) {
    let mut words = [[0u64; 8]; 4];
    for lane in 0..8 {
        if rows[lane] != NONE {
            let row = &data[32 * rows[lane]..][..32];
            for k in 0..4 {
                words[k][lane] = u64::from_le_bytes(row[8 * k..8 * k + 8].try_into().unwrap());
            }
        }
    }
    let words = [
        vector(&words[0]),
        vector(&words[1]),
        vector(&words[2]),
        vector(&words[3]),
    ];
    let number = from_words(words);
    let top = unsafe { _mm512_movepi64_mask(words[3]) };
    let canonical = number.same(&number.canonical());
    (number, top, canonical)
}

/// Stores numbers, canonical, and bit 255 where the mask says so.
#[inline(always)]
pub fn store_numbers(data: &mut [u8], rows: &[usize; 8], number: &F, top: Mask) {
    let mut words = to_words(number);
    words[3] = blend(top, words[3], or(words[3], splat(i64::MIN)));
    let words = [lanes(words[0]), lanes(words[1]), lanes(words[2]), lanes(words[3])];
    for lane in 0..8 {
        if rows[lane] != NONE {
            let row = &mut data[32 * rows[lane]..][..32];
            for k in 0..4 {
                row[8 * k..8 * k + 8].copy_from_slice(&words[k][lane].to_le_bytes());
            }
        }
    }
}

/// Panics unless there are such records: after this they are read and written without asking again.
#[inline(always)]
fn check(records: &[Record], rows: &[usize; 8]) {
    let mut most = rows[0];
    for &row in rows {
        most = most.max(row);
    }
    assert!(most < records.len());
}

/// Asks for records that will be needed soon.
#[inline(always)]
pub fn prefetch(records: &[Record], rows: &[usize; 8]) {
    check(records, rows);
    for &row in rows {
        unsafe {
            let record = records.as_ptr().add(row).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(record);
            _mm_prefetch::<_MM_HINT_T0>(record.add(64));
            _mm_prefetch::<_MM_HINT_T0>(record.add(128));
        }
    }
}

/// Four numbers from each of eight records.
#[inline(always)]
pub fn load_records(records: &[Record], rows: &[usize; 8]) -> [F; 4] {
    let (mut first, mut second, mut third) = ([splat(0); 8], [splat(0); 8], [splat(0); 4]);
    check(records, rows);
    unsafe {
        for lane in 0..8 {
            let words = records.as_ptr().add(rows[lane]).cast::<u64>();
            first[lane] = _mm512_load_si512(words.cast());
            second[lane] = _mm512_load_si512(words.add(8).cast());
        }
        for k in 0..4 {
            let low = _mm256_load_si256(records.as_ptr().add(rows[k]).cast::<u64>().add(16).cast());
            let high = _mm256_load_si256(records.as_ptr().add(rows[k + 4]).cast::<u64>().add(16).cast());
            third[k] = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        }
    }
    let (a, b, c) = (transpose(first), transpose(second), transpose_half(third));
    [
        F([a[0], a[1], a[2], a[3], a[4]]),
        F([a[5], a[6], a[7], b[0], b[1]]),
        F([b[2], b[3], b[4], b[5], b[6]]),
        F([b[7], c[0], c[1], c[2], c[3]]),
    ]
}

#[inline(always)]
pub fn store_records(records: &mut [Record], rows: &[usize; 8], numbers: &[F; 4]) {
    let [p, q, r, s] = numbers;
    let first = transpose([p.0[0], p.0[1], p.0[2], p.0[3], p.0[4], q.0[0], q.0[1], q.0[2]]);
    let second = transpose([q.0[3], q.0[4], r.0[0], r.0[1], r.0[2], r.0[3], r.0[4], s.0[0]]);
    let third = transpose_half_back([s.0[1], s.0[2], s.0[3], s.0[4]]);
    check(records, rows);
    unsafe {
        for lane in 0..8 {
            let words = records.as_mut_ptr().add(rows[lane]).cast::<u64>();
            _mm512_store_si512(words.cast(), first[lane]);
            _mm512_store_si512(words.add(8).cast(), second[lane]);
        }
        for k in 0..4 {
            let low = records.as_mut_ptr().add(rows[k]).cast::<u64>().add(16);
            _mm256_store_si256(low.cast(), _mm512_castsi512_si256(third[k]));
            let high = records.as_mut_ptr().add(rows[k + 4]).cast::<u64>().add(16);
            _mm256_store_si256(high.cast(), _mm512_extracti64x4_epi64::<1>(third[k]));
        }
    }
}

/// Four numbers of one record, each in all lanes.
#[inline(always)]
pub fn splat_record(record: &Record) -> [F; 4] {
    let w = &record.0;
    [
        F([s(w[0]), s(w[1]), s(w[2]), s(w[3]), s(w[4])]),
        F([s(w[5]), s(w[6]), s(w[7]), s(w[8]), s(w[9])]),
        F([s(w[10]), s(w[11]), s(w[12]), s(w[13]), s(w[14])]),
        F([s(w[15]), s(w[16]), s(w[17]), s(w[18]), s(w[19])]),
    ]
}

#[inline(always)]
fn s(word: u64) -> __m512i {
    splat(word as i64)
}

/// Eight windows side by side of a shifted exponent (see `rows::offset`).
#[derive(Clone, Copy)]
pub struct Windows {
    word: __m512i,
    next: __m512i,
    shift: __m512i,
    back: __m512i,
    mask: __m512i,
    half: __m512i,
    starts: __m512i,
}

impl Windows {
    #[inline(always)]
    pub fn new(width: usize, first: usize, starts: &[usize; 8]) -> Windows {
        let (mut word, mut next, mut shift, mut back) = ([7; 8], [7; 8], [0; 8], [0; 8]);
        for lane in 0..8 {
            let bit = width * (first + lane);
            word[lane] = (bit / 64).min(7) as u64;
            next[lane] = (bit / 64 + 1).min(7) as u64;
            shift[lane] = (bit % 64) as u64;
            back[lane] = 64 - shift[lane];
        }
        Windows {
            word: vector(&word),
            next: vector(&next),
            shift: vector(&shift),
            back: vector(&back),
            mask: splat((1 << width) - 1),
            half: splat(1 << (width - 1)),
            starts: vector(&starts.map(|start| start as u64)),
        }
    }

    /// Absolute values of eight digits, each behind the start of its lane, and where digits are negative.
    #[inline(always)]
    pub fn places(&self, shifted: &[u64; 8]) -> ([usize; 8], Mask) {
        unsafe {
            let words = vector(shifted);
            let low = _mm512_srlv_epi64(_mm512_permutexvar_epi64(self.word, words), self.shift);
            let high = _mm512_sllv_epi64(_mm512_permutexvar_epi64(self.next, words), self.back);
            let digit = sub(and(or(low, high), self.mask), self.half);
            let places = lanes(add(self.starts, _mm512_abs_epi64(digit)));
            let places = [
                places[0] as usize,
                places[1] as usize,
                places[2] as usize,
                places[3] as usize,
                places[4] as usize,
                places[5] as usize,
                places[6] as usize,
                places[7] as usize,
            ];
            (places, _mm512_movepi64_mask(digit))
        }
    }
}

/// Absolute values of digits, one for each lane.
#[derive(Clone, Copy)]
pub struct Digits(__m512i);

impl Digits {
    #[inline(always)]
    pub fn new(digits: &[i8; 8]) -> (Digits, Mask) {
        unsafe {
            let wide = _mm512_cvtepi8_epi64(_mm_loadl_epi64(digits.as_ptr().cast()));
            (Digits(_mm512_abs_epi64(wide)), _mm512_movepi64_mask(wide))
        }
    }

    #[inline(always)]
    pub fn are(&self, digit: usize) -> Mask {
        unsafe { _mm512_cmpeq_epi64_mask(self.0, splat(digit as i64)) }
    }

    /// The entries of a table for digits 1 to 64, by the same reads for all of them; any for 0.
    #[inline(always)]
    pub fn look_up(&self, planes: &TablePlanes) -> [F; 3] {
        let index = sub(self.0, splat(1));
        unsafe {
            let bit_4 = _mm512_test_epi64_mask(index, splat(16));
            let bit_5 = _mm512_test_epi64_mask(index, splat(32));
            let mut numbers = [F([splat(0); 5]); 3];
            for k in 0..15 {
                let plane: &[u64; TABLE_ENTRIES] = &planes.0[k];
                let mut quarters = [splat(0); 4];
                for (q, quarter) in quarters.iter_mut().enumerate() {
                    let low = _mm512_load_si512(plane.as_ptr().add(16 * q).cast());
                    let high = _mm512_load_si512(plane.as_ptr().add(16 * q + 8).cast());
                    *quarter = _mm512_permutex2var_epi64(low, index, high);
                }
                let low = blend(bit_4, quarters[0], quarters[1]);
                let high = blend(bit_4, quarters[2], quarters[3]);
                numbers[k / 5].0[k % 5] = blend(bit_5, low, high);
            }
            numbers
        }
    }
}
