//! What lies in memory: items, records of limbs, tables, exponents cut into digits.

use super::constants::ORDER;

/// Bytes of an item: X, Y, Z, T of extended coordinates, each a number below p, little-endian.
pub const ITEM: usize = 128;
/// Bytes of an exponent.
pub const SCALAR: usize = 32;
/// In place of a row's number: no row.
pub const NONE: usize = usize::MAX;
/// Entries of a window of a fixed-base table.
pub const TABLE_ENTRIES: usize = 64;
/// Bits of such a window.
pub const TABLE_WINDOW: usize = 7;

/// (0 : 1 : 1 : 0)
pub const fn identity_item() -> [u8; ITEM] {
    let mut item = [0; ITEM];
    item[32] = 1;
    item[64] = 1;
    item
}

/// The eight rows from `start` on, as far as there are that many.
pub fn eight(start: usize, count: usize) -> [usize; 8] {
    std::array::from_fn(|lane| if start + lane < count { start + lane } else { NONE })
}

/// Four numbers of five limbs side by side; the last four words are idle.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Record(pub [u64; 24]);

impl Record {
    pub fn new(numbers: [[u64; 5]; 4]) -> Record {
        let mut words = [0; 24];
        for (chunk, number) in words.chunks_exact_mut(5).zip(numbers) {
            chunk.copy_from_slice(&number);
        }
        Record(words)
    }
}

/// Eight powers: rows of items, exponents, and where the inverse is meant.
#[derive(Clone, Copy)]
pub struct Term {
    pub places: [usize; 8],
    pub exponents: [Words; 8],
    pub negative: u8,
}

/// A window of a fixed-base table: limb k of all 64 entries side by side.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct TablePlanes(pub [[u64; TABLE_ENTRIES]; 15]);

/// An exponent in words.
pub type Words = [u64; 4];

pub fn words(exponents: &[u8], row: usize) -> Words {
    let bytes = &exponents[SCALAR * row..][..SCALAR];
    std::array::from_fn(|k| u64::from_le_bytes(bytes[8 * k..8 * k + 8].try_into().unwrap()))
}

/// Time depends on the words.
pub fn bit_length(words: &Words) -> usize {
    match words.iter().rposition(|&word| word != 0) {
        Some(k) => 64 * k + 64 - words[k].leading_zeros() as usize,
        None => 0,
    }
}

/// An exponent just below the order as a short negative one: |e|, and whether it is negative. Time depends on it.
pub fn shortened(exponent: &Words) -> (Words, bool) {
    const SAVING: usize = 16;
    let mut rest = [0; 4];
    let mut borrow = false;
    for k in 0..4 {
        let (difference, first) = ORDER[k].overflowing_sub(exponent[k]);
        let (difference, second) = difference.overflowing_sub(borrow as u64);
        (rest[k], borrow) = (difference, first || second);
    }
    if !borrow && bit_length(&rest) <= 253 - SAVING {
        (rest, true)
    } else {
        (*exponent, false)
    }
}

/// Windows of w bits for signed digits of exponents of so many bits: the highest digit takes no carry beyond it.
pub const fn window_count(bits: usize, width: usize) -> usize {
    (bits + 1) / width + 1
}

/// An exponent plus 2^(w-1) at each of `count` windows of w bits.
///
/// Digit k, from -2^(w-1) to 2^(w-1) - 1, is then (shifted >> w k) mod 2^w - 2^(w-1): plain windows. The
/// exponent has fewer than w count - 1 bits. This is what is added.
pub fn offset(width: usize, count: usize) -> [u64; 8] {
    let mut offset = [0u64; 8];
    for k in 0..count {
        let bit = width * k + width - 1;
        offset[bit / 64] |= 1 << (bit % 64);
    }
    offset
}

/// The shifted exponent. The same operations for all exponents.
pub fn add_offset(exponent: &Words, offset: &[u64; 8]) -> [u64; 8] {
    let mut sum = *offset;
    let mut carry = 0u128;
    for (k, word) in sum.iter_mut().enumerate() {
        let both = *word as u128 + if k < 4 { exponent[k] as u128 } else { 0 } + carry;
        (*word, carry) = (both as u64, both >> 64);
    }
    sum
}

/// Digit k of a shifted exponent, of w <= 8 bits. The same operations for all exponents.
pub fn digit(shifted: &[u64; 8], width: usize, k: usize) -> i8 {
    let bit = width * k;
    let (word, shift) = (bit / 64, bit % 64);
    let pair = shifted[word] as u128 | (shifted[word + 1] as u128) << 64;
    let window = (pair >> shift) as u64 & ((1 << width) - 1);
    (window as i64 - (1i64 << (width - 1))) as i8
}
