//! Powers (points times scalars): of one base by a table, of many bases in constant time, and by public
//! exponents. This file is compiled once for each backend.

use super::super::constants as c;
use super::super::rows::{self, ITEM, NONE, TABLE_ENTRIES, TABLE_WINDOW, TablePlanes, Words, eight};
use super::encodings::invert_all;
use super::field::F;
use super::memory::Digits;
use super::points::{
    Affine, Cached, Point, add, add_two, add_two_affine, cached, double, doublings, identity, load_points,
    negated, negated_affine, store_points, two_doublings,
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

/// The entries of a window for eight digits. Constant-time.
#[inline]
fn table_entry(planes: &TablePlanes, digits: &[i8; 8]) -> Affine {
    let (one, zero) = (F::splat(&c::ONE), F::splat(&c::ZERO));
    let (values, negative) = Digits::new(digits);
    let [plus, minus, t2d] = values.look_up(planes);
    let none = values.are(0);
    let entry = Affine {
        plus: plus.select(none, &one),
        minus: minus.select(none, &one),
        t2d: t2d.select(none, &zero),
    };
    negated_affine(&entry, negative)
}

/// The base of a table to each exponent, times an item of its own where there are `factors`. Constant-time: all
/// entries of a window are read for each digit. Cost: for 253 bits 37 lookups and additions.
pub fn table_powers(table: &[TablePlanes], exponents: &[u8], factors: Option<&[u8]>, output: &mut [u8]) {
    let count = output.len() / ITEM;
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
        let mut sums = vec![identity(); 2 * some.div_ceil(16)];
        if let Some(factors) = factors {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = load_points(factors, &eight(start + 8 * k, count));
            }
        }
        for (planes, digits) in table.iter().zip(&digits) {
            for (sums, digits) in sums.chunks_exact_mut(2).zip(digits.chunks_exact(2)) {
                let (first, second) = (table_entry(planes, &digits[0]), table_entry(planes, &digits[1]));
                let [u, v] = add_two_affine([&sums[0], &sums[1]], [&first, &second]);
                sums.copy_from_slice(&[u, v]);
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

/// The multiple of each lane's digit. Constant-time: all entries are read.
#[inline]
fn multiple(table: &[Cached; 8], shifted: &[[u64; 8]; 8], window: usize) -> Cached {
    let one = F::splat(&c::ONE);
    let mut digits = [0; 8];
    for lane in 0..8 {
        digits[lane] = rows::digit(&shifted[lane], WINDOW, window);
    }
    let (values, negative) = Digits::new(&digits);
    let mut entry = Cached { plus: one, minus: one, z2: one.add(&one).carry(), t2d: F::splat(&c::ZERO) };
    for (i, multiple) in table.iter().enumerate() {
        let chosen = values.are(i + 1);
        entry.plus = entry.plus.select(chosen, &multiple.plus);
        entry.minus = entry.minus.select(chosen, &multiple.minus);
        entry.z2 = entry.z2.select(chosen, &multiple.z2);
        entry.t2d = entry.t2d.select(chosen, &multiple.t2d);
    }
    negated(&entry, negative)
}

/// Sixteen bases to exponents of at most (4 windows - 2) bits, by signed digits of 4 bits. Constant-time but for
/// the number of windows.
fn sixteen_powers(bases: &[Point; 2], exponents: &[[Words; 8]; 2], windows: usize) -> [Point; 2] {
    let tables = [multiples(&bases[0]), multiples(&bases[1])];
    let offset = rows::offset(WINDOW, windows);
    let mut shifted = [[[0; 8]; 8]; 2];
    for half in 0..2 {
        for lane in 0..8 {
            shifted[half][lane] = rows::add_offset(&exponents[half][lane], &offset);
        }
    }
    let mut results = [identity(), identity()];
    for k in (0..windows).rev() {
        if k + 1 < windows {
            results = two_doublings(&results, WINDOW);
        }
        let (first, second) = (multiple(&tables[0], &shifted[0], k), multiple(&tables[1], &shifted[1], k));
        results = add_two([&results[0], &results[1]], [&first, &second]);
    }
    results
}

/// The rows of items that sixteen powers are of.
#[inline]
fn sixteen_rows(bases: &[u8], start: usize, count: usize) -> ([[usize; 8]; 2], [Point; 2]) {
    let places = [eight(start, count), eight(start + 8, count)];
    let from = if bases.len() == ITEM { [[0; 8]; 2] } else { places };
    (places, [load_points(bases, &from[0]), load_points(bases, &from[1])])
}

/// Each base to its exponent; one base may serve all. Constant-time: 64 windows for every exponent of 254 bits.
pub fn powers_constant_time(bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(16) {
        let (places, points) = sixteen_rows(bases, start, count);
        let mut numbers = [[[0; 4]; 8]; 2];
        for i in 0..16.min(count - start) {
            numbers[i / 8][i % 8] = rows::words(exponents, start + i);
        }
        let powers = sixteen_powers(&points, &numbers, 64);
        store_points(output, &places[0], &powers[0]);
        store_points(output, &places[1], &powers[1]);
    }
}

/// Items to one exponent of 254 bits and then times 2^doubled.
pub fn powers_of_all(items: &[u8], exponent: &Words, doubled: usize, output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(16) {
        let (places, points) = sixteen_rows(items, start, count);
        let powers = sixteen_powers(&points, &[[*exponent; 8]; 2], 64);
        let powers = two_doublings(&powers, doubled);
        store_points(output, &places[0], &powers[0]);
        store_points(output, &places[1], &powers[1]);
    }
}

/// Each base, of the given rows, to its exponent; one base may serve all. Time depends on the exponents: on the
/// longest of sixteen.
pub fn powers(bases: &[u8], exponents: &[u8], from: &[u32], output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(16) {
        let mut numbers = [[[0; 4]; 8]; 2];
        let mut negative = [0; 2];
        let mut rows_in = [[NONE; 8]; 2];
        let mut bits = 0;
        for i in 0..16.min(count - start) {
            let row = from[start + i] as usize;
            let (words, inverse) = rows::shortened(&rows::words(exponents, row));
            numbers[i / 8][i % 8] = words;
            negative[i / 8] |= (inverse as u8) << (i % 8);
            rows_in[i / 8][i % 8] = if bases.len() == ITEM { 0 } else { row };
            bits = bits.max(rows::bit_length(&words));
        }
        let points = [load_points(bases, &rows_in[0]), load_points(bases, &rows_in[1])];
        let windows = if bits == 0 { 0 } else { rows::window_count(bits, WINDOW) };
        let powers = sixteen_powers(&points, &numbers, windows);
        for half in 0..2 {
            let mut power = powers[half];
            let (plus, minus) = (power.plus, power.minus);
            power.plus = plus.select(negative[half], &minus);
            power.minus = minus.select(negative[half], &plus);
            power.t = power.t.select(negative[half], &power.t.neg().carry());
            store_points(output, &eight(start + 8 * half, count), &power);
        }
    }
}
}
