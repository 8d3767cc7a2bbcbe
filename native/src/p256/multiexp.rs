//! Products of powers: shared doublings for few, buckets for many.

use super::bulk::{Lanes, bit_length, bits_at, each_block, flatten, offset, products, signed, words};
use super::formulas::{ITEM, Point};
use super::powers::{WINDOW, largest, multiples, recode, windows_for};
use crate::buffers::{fill_rows, threads};

/// For each of `rows` rows the sum of multiples; time depends on all that is given.
pub fn multiexp<F: Lanes>(bases: &[u8], exponents: &[u8], rows: usize, out: &mut [u8]) {
    if rows == 0 {
        return;
    }
    let len = exponents.len() / 32 / rows;
    let base_row = if bases.len() == exponents.len() / 32 * ITEM {
        len
    } else {
        0
    };
    let one = |row: usize, start: usize, end: usize, out: &mut [u8]| {
        let exponents = &exponents[32 * (row * len + start)..32 * (row * len + end)];
        let first = row * base_row;
        buckets::<F>(
            &bases[(first + start) * ITEM..(first + end) * ITEM],
            exponents,
            out,
        );
    };
    if len <= F::STRAUS {
        return straus_rows::<F>(bases, exponents, rows, len, base_row, out);
    }
    let pieces = if rows >= threads() {
        1
    } else {
        threads().min(len / 1024).max(1)
    };
    let size = len.div_ceil(pieces);
    let mut parts = vec![0; rows * pieces * ITEM];
    fill_rows(&mut parts, ITEM, 1, |k, part| {
        let (row, piece) = (k / pieces, k % pieces);
        one(row, (piece * size).min(len), ((piece + 1) * size).min(len), part);
    });
    products::<F>(&parts, rows, out);
}

/// Sums of few multiples, whose doublings are shared; a row for each lane, or for several of them.
fn straus_rows<F: Lanes>(
    bases: &[u8],
    exponents: &[u8],
    rows: usize,
    len: usize,
    base_row: usize,
    out: &mut [u8],
) {
    // Lanes of a row: a power of two.
    let mut split = 1;
    while 2 * split * rows <= F::LANES && 2 * split <= len {
        split *= 2;
    }
    let mut parts = vec![0; rows * split * ITEM];
    let slots = len.div_ceil(split);
    each_block::<F>(&mut parts, ITEM, F::LANES, |first, count, parts| {
        let mut total = Point::IDENTITY;
        for start in (0..slots).step_by(SLOTS) {
            let size = SLOTS.min(slots - start);
            // Where the term of a lane is, in all: none at the end of some.
            let term = |slot: usize, lane: usize| {
                let (row, column) = (
                    (first + lane) / split,
                    (start + slot) * split + (first + lane) % split,
                );
                (lane < count && column < len).then_some((row * base_row + column, row * len + column))
            };
            let mut sum = Point::IDENTITY;
            straus::<F>(bases, exponents, size, term, &mut sum);
            F::add(&mut total, &sum);
        }
        F::store(&total, parts);
    });
    if split == 1 {
        out.copy_from_slice(&parts);
    } else {
        products::<F>(&parts, rows, out);
    }
}

const SLOTS: usize = 32;

fn straus<F: Lanes>(
    bases: &[u8],
    exponents: &[u8],
    slots: usize,
    term: impl Fn(usize, usize) -> Option<(usize, usize)>,
    total: &mut Point<F>,
) {
    let mut numbers = vec![[([0; 4], 0); 8]; slots];
    let mut longest = 0;
    for (slot, row) in numbers.iter_mut().enumerate() {
        for (lane, number) in row.iter_mut().enumerate().take(F::LANES) {
            if let Some((_, i)) = term(slot, lane) {
                *number = signed(words(&exponents[32 * i..][..32]));
                longest = longest.max(bit_length(&number.0));
            }
        }
    }
    if longest == 0 {
        return;
    }
    let windows = windows_for(longest);
    let mut tables = vec![];
    for (slot, row) in numbers.iter().enumerate() {
        let mut digits = vec![[0; 8]; windows];
        let (mut at, mut present) = ([0; 8], 0u8);
        for (lane, (e, negative)) in row.iter().enumerate().take(F::LANES) {
            if let Some((i, _)) = term(slot, lane) {
                at[lane] = i;
                present |= 1 << lane;
                recode(*e, *negative, windows, &mut digits, lane);
            }
        }
        let mut base = Point::IDENTITY;
        F::load(bases, &at, &mut base);
        F::keep(&mut base, present);
        let mut table = vec![Point::IDENTITY; largest(&digits)];
        multiples(&base, &mut table);
        tables.push((digits, table));
    }
    let mut next = Point::IDENTITY;
    for window in (0..windows).rev() {
        if window + 1 < windows {
            F::double(total, WINDOW);
        }
        for (digits, table) in &tables {
            if digits[window] != [0; 8] {
                F::pick(table, &digits[window], &mut next);
                F::add(total, &next);
            }
        }
    }
}

/// Pippenger's buckets: the lanes are windows of one exponent, the base is the same for all of them.
fn buckets<F: Lanes>(bases: &[u8], exponents: &[u8], out: &mut [u8]) {
    let (flat, neutral) = flatten::<F>(bases);
    let mut terms = vec![];
    for (i, bytes) in exponents.chunks_exact(32).enumerate() {
        let (e, negative) = signed(words(bytes));
        let bits = bit_length(&e);
        if bits > 0 && !neutral[i] {
            terms.push((bits, e, negative != 0, i));
        }
    }
    let mut lengths = [0usize; 257];
    terms.iter().for_each(|term| lengths[term.0] += 1);
    let window = best_window::<F>(&lengths);
    let passes = |bits: usize| (bits + 2).div_ceil(window).div_ceil(F::LANES);
    terms.sort_by_key(|term| std::cmp::Reverse(passes(term.0))); // the sort is stable, and quick when sorted
    let shifted: Vec<[u64; 6]> = terms
        .iter()
        .map(|(bits, e, _, _)| offset(e, window, F::LANES * passes(*bits)))
        .collect();
    let half = 1usize << (window - 1);
    let stride = half + 1;
    let mut total = Point::IDENTITY;
    let most = terms.first().map_or(0, |term| passes(term.0));
    let mut rows = vec![[0u64; 20]; F::LANES * stride];
    for pass in (0..most).rev() {
        if pass + 1 < most {
            rows.fill([0; 20]);
        }
        let active = terms.partition_point(|term| passes(term.0) > pass);
        for ((_, _, inverse, i), shifted) in terms[..active].iter().zip(&shifted) {
            let (mut at, mut negative) = ([0; 8], 0u8);
            for lane in 0..F::LANES {
                let digit = bits_at(shifted, window * (pass * F::LANES + lane), window) as i64 - half as i64;
                at[lane] = lane * stride + digit.unsigned_abs() as usize; // the first of a lane for digits 0
                negative |= ((digit < 0) as u8) << lane;
            }
            F::into_buckets(
                &mut rows,
                &at,
                if *inverse { !negative } else { negative },
                &flat[*i],
            );
        }
        let (mut running, mut sum, mut bucket) = (Point::IDENTITY, Point::IDENTITY, Point::IDENTITY);
        for digit in (1..=half).rev() {
            F::from_buckets(
                &rows,
                &[0, 1, 2, 3, 4, 5, 6, 7].map(|lane| lane % F::LANES * stride + digit),
                &mut bucket,
            );
            F::add(&mut running, &bucket);
            F::add(&mut sum, &running);
        }
        let mut sums = [0; 8 * ITEM];
        F::store(&sum, &mut sums);
        for lane in (0..F::LANES).rev() {
            F::double(&mut total, window);
            F::load(&sums, &[lane; 8], &mut bucket);
            F::add(&mut total, &bucket);
        }
    }
    F::store(&total, out);
}

/// The window of least cost, by prices of this machine's kernels.
fn best_window<F: Lanes>(lengths: &[usize]) -> usize {
    let price = |window: usize| {
        let passes = |bits: usize| (bits + 2).div_ceil(window).div_ceil(F::LANES);
        let terms: usize = lengths
            .iter()
            .enumerate()
            .map(|(bits, count)| count * passes(bits))
            .sum();
        let most = lengths.iter().rposition(|&count| count > 0).map_or(0, passes);
        10 * terms + most * (30 << (window - 1))
    };
    (3..=12).min_by_key(|&window| price(window)).unwrap_or(3)
}
