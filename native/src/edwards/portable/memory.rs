//! Between rows in memory and lanes, and lookups in tables: the twin of ifma/memory.rs.

use super::super::constants::Limbs;
use super::super::rows::{ITEM, NONE, Record, TABLE_ENTRIES, TablePlanes, identity_item};
use super::field::*;

const LIMB: u64 = (1 << 51) - 1;

/// Bit 255 is ignored.
fn read(bytes: &[u8]) -> Limbs {
    let w: [u64; 4] =
        std::array::from_fn(|k| u64::from_le_bytes(bytes[8 * k..8 * k + 8].try_into().unwrap()));
    [
        w[0] & LIMB,
        (w[0] >> 51 | w[1] << 13) & LIMB,
        (w[1] >> 38 | w[2] << 26) & LIMB,
        (w[2] >> 25 | w[3] << 39) & LIMB,
        w[3] >> 12 & LIMB,
    ]
}

/// Of a canonical number.
fn write(bytes: &mut [u8], a: &Limbs) {
    let words = [
        a[0] | a[1] << 51,
        a[1] >> 13 | a[2] << 38,
        a[2] >> 26 | a[3] << 25,
        a[3] >> 39 | a[4] << 12,
    ];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// X, Y, Z, T of eight items; the identity where a row is `NONE`.
pub fn load_items(items: &[u8], rows: &[usize; 8]) -> [F; 4] {
    let mut numbers = [F::splat(&[0; 5]); 4];
    let identity = identity_item();
    for lane in 0..8 {
        let item = match rows[lane] {
            NONE => &identity[..],
            row => &items[ITEM * row..][..ITEM],
        };
        for (k, number) in numbers.iter_mut().enumerate() {
            number.0[lane] = read(&item[32 * k..32 * k + 32]);
        }
    }
    numbers
}

/// Stores X, Y, Z, T, canonical, except where a row is `NONE`.
pub fn store_items(items: &mut [u8], rows: &[usize; 8], point: &[F; 4]) {
    for lane in 0..8 {
        if rows[lane] != NONE {
            for (place, number) in items[ITEM * rows[lane]..][..ITEM].chunks_exact_mut(32).zip(point) {
                write(place, &number.0[lane]);
            }
        }
    }
}

/// Numbers of 255 bits from rows of 32 bytes, 0 where a row is `NONE`; where bit 255 is set; and
/// where the number without it is below p.
pub fn load_numbers(data: &[u8], rows: &[usize; 8]) -> (F, Mask, Mask) {
    let (mut number, mut top) = (F::splat(&[0; 5]), 0);
    for lane in 0..8 {
        if rows[lane] != NONE {
            let row = &data[32 * rows[lane]..][..32];
            number.0[lane] = read(row);
            top |= (row[31] >> 7) << lane;
        }
    }
    (number, top, number.same(&number.canonical()))
}

/// Stores numbers, canonical, and bit 255 where the mask says so.
pub fn store_numbers(data: &mut [u8], rows: &[usize; 8], number: &F, top: Mask) {
    for lane in 0..8 {
        if rows[lane] != NONE {
            let row = &mut data[32 * rows[lane]..][..32];
            write(row, &number.0[lane]);
            row[31] |= (top >> lane & 1) << 7;
        }
    }
}

/// Nothing, here.
pub fn prefetch(_records: &[Record], _rows: &[usize; 8]) {}

/// Four numbers from each of eight records.
pub fn load_records(records: &[Record], rows: &[usize; 8]) -> [F; 4] {
    let mut numbers = [F::splat(&[0; 5]); 4];
    for lane in 0..8 {
        let words = &records[rows[lane]].0;
        for (k, number) in numbers.iter_mut().enumerate() {
            number.0[lane].copy_from_slice(&words[5 * k..5 * k + 5]);
        }
    }
    numbers
}

pub fn store_records(records: &mut [Record], rows: &[usize; 8], numbers: &[F; 4]) {
    for lane in 0..8 {
        let words = &mut records[rows[lane]].0;
        for (place, number) in words.chunks_exact_mut(5).zip(numbers) {
            place.copy_from_slice(&number.0[lane]);
        }
    }
}

/// Four numbers of one record, each in all lanes.
pub fn splat_record(record: &Record) -> [F; 4] {
    std::array::from_fn(|k| F::splat(record.0[5 * k..5 * k + 5].try_into().unwrap()))
}

/// Eight windows side by side of a shifted exponent (see `rows::offset`).
#[derive(Clone, Copy)]
pub struct Windows {
    width: usize,
    first: usize,
    starts: [usize; 8],
}

impl Windows {
    pub fn new(width: usize, first: usize, starts: &[usize; 8]) -> Windows {
        Windows {
            width,
            first,
            starts: *starts,
        }
    }

    /// Absolute values of eight digits, each behind the start of its lane, and where digits are negative.
    pub fn places(&self, shifted: &[u64; 8]) -> ([usize; 8], Mask) {
        let (mut places, mut negative) = (self.starts, 0);
        for lane in 0..8 {
            let bit = self.width * (self.first + lane);
            let word = |k: usize| shifted.get(k).copied().unwrap_or(0) as u128;
            let pair = word(bit / 64) | word(bit / 64 + 1) << 64;
            let window = (pair >> (bit % 64)) as i64 & ((1 << self.width) - 1);
            let digit = window - (1 << (self.width - 1));
            places[lane] += digit.unsigned_abs() as usize;
            negative |= ((digit < 0) as u8) << lane;
        }
        (places, negative)
    }
}

/// Absolute values of digits, one for each lane.
#[derive(Clone, Copy)]
pub struct Digits([u64; 8]);

impl Digits {
    pub fn new(digits: &[i8; 8]) -> (Digits, Mask) {
        let mut negative = 0;
        for lane in 0..8 {
            negative |= ((digits[lane] as u8) >> 7) << lane;
        }
        (
            Digits(digits.map(|digit| (digit as i64).unsigned_abs())),
            negative,
        )
    }

    pub fn are(&self, digit: usize) -> Mask {
        let mut mask = 0;
        for lane in 0..8 {
            mask |= ((self.0[lane] == digit as u64) as u8) << lane;
        }
        mask
    }

    /// The entries of a table for digits 1 to 64, by the same reads for all of them; any for 0.
    pub fn look_up(&self, planes: &TablePlanes) -> [F; 3] {
        let mut numbers = [F::splat(&[0; 5]); 3];
        for (lane, &value) in self.0.iter().enumerate() {
            let mut chosen = [0; TABLE_ENTRIES];
            for (i, ones) in chosen.iter_mut().enumerate() {
                // All ones where value - 1 and i, both small, have no different bit.
                *ones = 0u64.wrapping_sub((value.wrapping_sub(1) ^ i as u64).wrapping_sub(1) >> 63);
            }
            chosen = std::hint::black_box(chosen);
            for (k, plane) in planes.0.iter().enumerate() {
                let mut entry = 0;
                for (ones, limb) in chosen.iter().zip(plane) {
                    entry |= ones & limb;
                }
                numbers[k / 5].0[lane][k % 5] = entry;
            }
        }
        numbers
    }
}
