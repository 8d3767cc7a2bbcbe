//! Powers: of many bases, in constant time or not, and of fixed ones by tables.

use rayon::prelude::*;

use super::bulk::{
    Lanes, SHARE_OF_POWERS, Scalar, bit_length, bits_at, each_block, equal, flatten, identity, invert, of,
    offset, positions, signed, words,
};
use super::formulas::{ITEM, Point};
use crate::buffers::in_pool;

pub const WINDOW: usize = 5;
const WINDOWS: usize = 52;

/// Signed digits of five bits for `count` windows, from 0 <= |e| < 2^(5 count - 2); constant time.
pub fn recode(e: Scalar, negative: u64, count: usize, digits: &mut [[i8; 8]], lane: usize) {
    let shifted = offset(&e, WINDOW, count);
    for (i, row) in digits[..count].iter_mut().enumerate() {
        let digit = bits_at(&shifted, WINDOW * i, WINDOW) as i8 - (1 << (WINDOW - 1));
        row[lane] = (digit ^ negative as i8).wrapping_sub(negative as i8);
    }
}

/// Multiples of a point, as many as `pick` may be asked for.
pub fn multiples<F: Lanes>(base: &Point<F>, table: &mut [Point<F>]) {
    table[0] = *base;
    for i in 1..table.len() {
        let (before, rest) = table.split_at_mut(i);
        rest[0] = before[i - 1];
        F::add(&mut rest[0], base);
    }
}

pub fn windows_for(bits: usize) -> usize {
    (bits + 2).div_ceil(WINDOW)
}

pub fn largest(digits: &[[i8; 8]]) -> usize {
    digits
        .iter()
        .flatten()
        .map(|d| d.unsigned_abs())
        .max()
        .unwrap_or(0)
        .max(1) as usize
}

/// Each base to its exponent below q; either may be one for all. In constant time, all windows of all exponents
/// take the same doublings, additions and reads; else only as many as the largest of a block asks for.
pub fn powers<F: Lanes>(bases: &[u8], exponents: &[u8], constant_time: bool, out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE_OF_POWERS, |first, count, rows| {
        let at = positions(first, count);
        let mut digits = [[0i8; 8]; WINDOWS];
        let numbers = of(exponents, 32, &at).map(|i| signed(words(&exponents[32 * i..][..32])));
        let numbers = &numbers[..F::LANES];
        let (mut windows, mut entries) = (WINDOWS, 1 << (WINDOW - 1));
        if !constant_time {
            windows = windows_for(numbers.iter().map(|(e, _)| bit_length(e)).max().unwrap_or(0));
        }
        for (lane, (e, negative)) in numbers.iter().enumerate() {
            recode(*e, *negative, windows, &mut digits, lane);
        }
        if !constant_time {
            entries = largest(&digits[..windows]);
        }
        let mut base = Point::IDENTITY;
        F::load(bases, &of(bases, ITEM, &at), &mut base);
        let mut table = [Point::IDENTITY; 1 << (WINDOW - 1)];
        let table = &mut table[..entries];
        multiples(&base, table);
        let (mut total, mut term) = (Point::IDENTITY, Point::IDENTITY);
        F::pick(table, &digits[windows - 1], &mut total);
        for digits in digits[..windows - 1].iter().rev() {
            F::double(&mut total, WINDOW);
            F::pick(table, digits, &mut term);
            F::add(&mut total, &term);
        }
        F::store(&total, rows);
    });
}

/// A fixed base's odd multiples d 2^(w i), 0 < d < 2^w, for every window i of w bits.
///
/// An odd number e below 2^(w n) is the sum of d_i 2^(w i) with n odd digits: d_i = 2 v + 1 - 2^w, where v are the bits
/// w i + 1 .. w i + w of e, and 2 v + 1 for the last. Even numbers are made odd, and the base is taken away in the end.
///
/// Sums go from the lowest window on, so that up to window i they are odd numbers of absolute value below 2^(w i),
/// and the next entry is at least that: neither their sum nor their difference is 0, and both are below
/// 2^(w (i+1)). While this is at most q, the incomplete formula is right. Only in the last window it may be more,
/// because w (n - 1) < 256 and so w (n - 1) <= 255 is below the length of q: there the complete one is used.
pub struct Table {
    planes: Vec<u64>,
    windows: usize,
    pub bits: usize,
    /// The base's inverse.
    inverse: Vec<u8>,
    neutral: bool,
}

impl Table {
    pub fn new<F: Lanes>(base: &[u8], bits: usize) -> Table {
        let bits = bits.clamp(1, 256);
        let windows = bits.div_ceil(F::WINDOW);
        let (entries, plane) = (1 << (F::WINDOW - 1), 10 << (F::WINDOW - 1));
        let mut inverse = vec![0; ITEM];
        invert::<F>(base, &mut inverse);
        let mut mask = [0];
        equal::<F>(base, &identity::<F>(), &mut mask);
        let mut made = Table {
            planes: vec![],
            windows,
            bits,
            inverse,
            neutral: mask[0] == 1,
        };
        if made.neutral {
            return made;
        }
        let mut firsts = vec![0; windows * ITEM];
        let mut power = Point::IDENTITY;
        F::load(base, &[0; 8], &mut power);
        for row in firsts.chunks_exact_mut(ITEM) {
            F::store(&power, row);
            F::double(&mut power, F::WINDOW);
        }
        made.planes = vec![0; windows * plane];
        let share = plane * F::LANES;
        let build = |(k, planes): (usize, &mut [u64])| {
            let first = k * F::LANES;
            let count = planes.len() / plane;
            let mut points = vec![0; entries * count * ITEM];
            let mut entry = Point::IDENTITY;
            F::load(&firsts, &positions(first, count), &mut entry);
            let mut twice = entry;
            F::double(&mut twice, 1);
            for rows in points.chunks_exact_mut(count * ITEM) {
                F::store(&entry, rows);
                F::add(&mut entry, &twice);
            }
            for (i, [x, y]) in flatten::<F>(&points).0.into_iter().enumerate() {
                let (j, window) = (i / count, i % count);
                for limb in 0..5 {
                    planes[plane * window + entries * limb + j] = x[limb];
                    planes[plane * window + entries * (5 + limb) + j] = y[limb];
                }
            }
        };
        in_pool(|| made.planes.par_chunks_mut(share).enumerate().for_each(build));
        made
    }

    pub fn size(&self) -> usize {
        8 * self.planes.len() + ITEM
    }

    /// Constant time for exponents below 2^bits; others give something else.
    pub fn powers<F: Lanes>(&self, exponents: &[u8], out: &mut [u8]) {
        if self.neutral {
            let neutral = identity::<F>();
            return out
                .chunks_exact_mut(ITEM)
                .for_each(|row| row.copy_from_slice(&neutral));
        }
        let (w, last) = (F::WINDOW, self.windows - 1);
        let half = 1u64 << (w - 1);
        each_block::<F>(out, ITEM, 4 * SHARE_OF_POWERS, |first, count, rows| {
            let (mut index, mut negative, mut even) = ([[0u64; 8]; 52], [0u8; 52], 0u8);
            for (lane, &i) in positions(first, count)[..F::LANES].iter().enumerate() {
                let e = words(&exponents[32 * i..][..32]);
                even |= (!e[0] as u8 & 1) << lane;
                for window in 0..last {
                    let v = bits_at(&e, w * window + 1, w);
                    let positive = (v >> (w - 1)).wrapping_neg();
                    index[window][lane] = (v ^ !positive) & (half - 1);
                    negative[window] |= (!positive as u8 & 1) << lane;
                }
                index[last][lane] = bits_at(&e, w * last + 1, w - 1);
            }
            let (mut power, mut inverse) = (Point::IDENTITY, Point::IDENTITY);
            F::fixed(&self.planes, &index[..=last], &negative[..=last], &mut power);
            F::load(&self.inverse, &[0; 8], &mut inverse);
            F::add_masked(&mut power, &inverse, even);
            F::store(&power, rows);
        });
    }
}
