//! Powers (points times scalars): of one base by a table, of many bases in constant time, and by public
//! exponents. This file is compiled once for each backend.

use super::super::constants as c;
use super::super::rows::{self, ITEM, NONE, TABLE_ENTRIES, TABLE_WINDOW, TablePlanes, Words, eight};
use super::encodings::invert_all;
use super::field::F;
use super::memory::Digits;
use super::points::{
    Affine, Cached, Point, add, add_affine, cached, double, doublings, identity, load_points, negated,
    negated_affine, store_points,
};

/// Exponents that go through a table together, window after window: their sums stay in the cache.
const TABLE_BLOCK: usize = 128;
/// Bits of a window of variable bases.
const WINDOW: usize = 4;

kernels! {
/// A table for exponents below 2^bits: digits 1 to 64 of signed windows of 7 bits, affine. Time depends on the size
/// alone. Cost: for 253 bits about 2400 additions in lanes and 260 doublings one after the other.
pub fn build_table(base: &[u8], bits: usize) -> Vec<TablePlanes> {
    let windows = rows::window_count(bits, TABLE_WINDOW);
    let mut starts = vec![0; ITEM * windows.next_multiple_of(8)];
    let mut start = load_points(base, &[0; 8]);
    for window in 0..windows {
        store_points(&mut starts, &[window, NONE, NONE, NONE, NONE, NONE, NONE, NONE], &start);
        start = doublings(&start, TABLE_WINDOW);
    }
    let mut planes = vec![TablePlanes([[0; TABLE_ENTRIES]; 15]); windows];
    for first in (0..windows).step_by(8) {
        let places = eight(first, windows);
        let one = load_points(&starts, &places);
        let step = cached(&one);
        let mut entries = vec![one];
        for k in 1..TABLE_ENTRIES {
            entries.push(add(&entries[k - 1], &step));
        }
        let mut inverses: Vec<[F; 2]> = entries.chunks_exact(2).map(|pair| [pair[0].z, pair[1].z]).collect();
        invert_all(&mut inverses);
        for (k, entry) in entries.iter().enumerate() {
            let inverse = &inverses[k / 2][k % 2];
            let plus = entry.plus.mul(inverse).carry().canonical().to_lanes();
            let minus = entry.minus.mul(inverse).carry().canonical().to_lanes();
            let t = entry.t.mul(inverse).carry();
            let t2d = t.mul(&F::splat(&c::D2)).carry().canonical().to_lanes();
            for lane in 0..8 {
                if places[lane] != NONE {
                    let plane = &mut planes[places[lane]].0;
                    for limb in 0..5 {
                        plane[limb][k] = plus[lane][limb];
                        plane[5 + limb][k] = minus[lane][limb];
                        plane[10 + limb][k] = t2d[lane][limb];
                    }
                }
            }
        }
    }
    planes
}

/// The base of a table to each exponent. Constant-time: all entries of a window are read for each digit.
/// Cost: for 253 bits 37 lookups and additions.
pub fn table_powers(table: &[TablePlanes], exponents: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    let one = F::splat(&c::ONE);
    let zero = F::splat(&c::ZERO);
    let offset = rows::offset(TABLE_WINDOW, table.len());
    let mut digits = vec![[[0i8; 8]; TABLE_BLOCK / 8]; table.len()];
    for start in (0..count).step_by(TABLE_BLOCK) {
        let some = TABLE_BLOCK.min(count - start);
        for i in 0..some {
            let shifted = rows::add_offset(&rows::words(exponents, start + i), &offset);
            for (k, digits) in digits.iter_mut().enumerate() {
                digits[i / 8][i % 8] = rows::digit(&shifted, TABLE_WINDOW, k);
            }
        }
        let mut sums = vec![identity(); some.div_ceil(8)];
        for (planes, digits) in table.iter().zip(&digits) {
            for (sum, digits) in sums.iter_mut().zip(digits) {
                let (values, negative) = Digits::new(digits);
                let [plus, minus, t2d] = values.look_up(planes);
                let none = values.are(0);
                let entry = Affine {
                    plus: plus.select(none, &one),
                    minus: minus.select(none, &one),
                    t2d: t2d.select(none, &zero),
                };
                *sum = add_affine(sum, &negated_affine(&entry, negative));
            }
        }
        for (k, sum) in sums.iter().enumerate() {
            store_points(output, &eight(start + 8 * k, count), sum);
        }
    }
}

/// The multiples 1 to 8.
pub fn multiples(base: &Point) -> [Cached; 8] {
    let one = cached(base);
    let two = double(base);
    let three = add(&two, &one);
    let four = double(&two);
    let five = add(&four, &one);
    let six = double(&three);
    let seven = add(&six, &one);
    let eight = double(&four);
    [
        one,
        cached(&two),
        cached(&three),
        cached(&four),
        cached(&five),
        cached(&six),
        cached(&seven),
        cached(&eight),
    ]
}

/// Eight bases to eight exponents of at most (4 windows - 2) bits, by signed digits of 4 bits. Constant-time but for
/// the number of windows.
#[inline]
fn eight_powers(base: &Point, exponents: &[Words; 8], windows: usize) -> Point {
    let table = multiples(base);
    let offset = rows::offset(WINDOW, windows);
    let mut shifted = [[0; 8]; 8];
    for lane in 0..8 {
        shifted[lane] = rows::add_offset(&exponents[lane], &offset);
    }
    let one = F::splat(&c::ONE);
    let neutral = Cached {
        plus: one,
        minus: one,
        z2: one.add(&one).carry(),
        t2d: F::splat(&c::ZERO),
    };
    let mut result = identity();
    for k in (0..windows).rev() {
        if k + 1 < windows {
            result = doublings(&result, WINDOW);
        }
        let mut digits = [0; 8];
        for lane in 0..8 {
            digits[lane] = rows::digit(&shifted[lane], WINDOW, k);
        }
        let (values, negative) = Digits::new(&digits);
        let mut entry = neutral;
        for (i, multiple) in table.iter().enumerate() {
            let chosen = values.are(i + 1);
            entry.plus = entry.plus.select(chosen, &multiple.plus);
            entry.minus = entry.minus.select(chosen, &multiple.minus);
            entry.z2 = entry.z2.select(chosen, &multiple.z2);
            entry.t2d = entry.t2d.select(chosen, &multiple.t2d);
        }
        result = add(&result, &negated(&entry, negative));
    }
    result
}

/// Each base to its exponent; one base may serve all. Constant-time: 64 windows for every exponent of 254 bits.
pub fn powers_constant_time(bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(8) {
        let places = eight(start, count);
        let from = if bases.len() == ITEM { [0; 8] } else { places };
        let mut numbers = [[0; 4]; 8];
        for lane in 0..8 {
            if places[lane] != NONE {
                numbers[lane] = rows::words(exponents, places[lane]);
            }
        }
        store_points(output, &places, &eight_powers(&load_points(bases, &from), &numbers, 64));
    }
}

/// Items to one exponent of 254 bits and then times 2^doubled.
pub fn powers_of_all(items: &[u8], exponent: &Words, doubled: usize, output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(8) {
        let places = eight(start, count);
        let power = eight_powers(&load_points(items, &places), &[*exponent; 8], 64);
        store_points(output, &places, &doublings(&power, doubled));
    }
}

/// Each base to its exponent; one base may serve all. Time depends on the exponents: on the longest of eight.
pub fn powers(bases: &[u8], exponents: &[u8], rows_in: &[u32], output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(8) {
        let places = eight(start, count);
        let mut from = [NONE; 8];
        let mut numbers = [[0; 4]; 8];
        let mut negative = 0;
        let mut bits = 0;
        for lane in 0..8 {
            if places[lane] != NONE {
                let row = rows_in[places[lane]] as usize;
                from[lane] = if bases.len() == ITEM { 0 } else { row };
                let (words, inverse) = rows::shortened(&rows::words(exponents, row));
                numbers[lane] = words;
                negative |= (inverse as u8) << lane;
                bits = bits.max(rows::bit_length(&words));
            }
        }
        let windows = rows::window_count(bits, WINDOW);
        let mut power = eight_powers(&load_points(bases, &from), &numbers, windows);
        let (plus, minus) = (power.plus, power.minus);
        power.plus = plus.select(negative, &minus);
        power.minus = minus.select(negative, &plus);
        power.t = power.t.select(negative, &power.t.neg().carry());
        store_points(output, &places, &power);
    }
}
}
