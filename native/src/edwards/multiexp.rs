//! Which algorithm serves a product of powers, and how wide its windows are.

use rayon::prelude::*;

use super::bulk::{Mode, kernel};
use super::rows::{self, ITEM, NONE, Record, Term, Words, bit_length, shortened, words};
use crate::buffers::{fill_rows, in_pool, threads};

/// Powers from which on buckets serve.
const FEW: usize = 128;
/// Powers that are prepared at a time: 16 MB.
const BLOCK: usize = 1 << 16;

/// As many products of powers as the output has rows. Time depends on the exponents.
pub fn multiexp(mode: Mode, bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    let rows = output.len() / ITEM;
    if rows == 0 {
        return;
    }
    let length = bases.len() / ITEM / rows;
    if length >= FEW {
        for (row, output) in output.chunks_mut(ITEM).enumerate() {
            let bases = &bases[ITEM * length * row..][..ITEM * length];
            by_buckets(mode, bases, row * length, exponents, output);
        }
    } else if rows >= 4 || length < 8 {
        fill_rows(output, ITEM, 8, |first, output| {
            let places = rows::eight(0, output.len() / ITEM);
            let terms: Vec<Term> = (0..length)
                .map(|j| {
                    let at = places.map(|row| {
                        if row == NONE {
                            NONE
                        } else {
                            (first + row) * length + j
                        }
                    });
                    term(exponents, at)
                })
                .collect();
            kernel!(mode, multiexp::straus(bases, &terms, output, false));
        });
    } else {
        fill_rows(output, ITEM, 1, |row, output| {
            let mut order: Vec<usize> = (row * length..(row + 1) * length).collect();
            order.sort_by_key(|&i| bit_length(&shortened(&words(exponents, i)).0));
            let terms: Vec<Term> = order
                .chunks(8)
                .map(|some| {
                    let mut places = [NONE; 8];
                    places[..some.len()].copy_from_slice(some);
                    term(exponents, places)
                })
                .collect();
            kernel!(mode, multiexp::straus(bases, &terms, output, true));
        });
    }
}

fn term(exponents: &[u8], places: [usize; 8]) -> Term {
    let mut term = Term {
        places,
        exponents: [[0; 4]; 8],
        negative: 0,
    };
    for (lane, &row) in places.iter().enumerate() {
        if row != NONE {
            let (number, negative) = shortened(&words(exponents, row));
            term.exponents[lane] = number;
            term.negative |= (negative as u8) << lane;
        }
    }
    term
}

/// Pippenger's method for powers whose exponents start at a row.
fn by_buckets(mode: Mode, bases: &[u8], first: usize, exponents: &[u8], output: &mut [u8]) {
    let count = bases.len() / ITEM;
    let blocks = count.div_ceil(BLOCK);
    let size = count.div_ceil(blocks);
    let mut parts = vec![0; ITEM * blocks];
    for (block, part) in parts.chunks_mut(ITEM).enumerate() {
        let (start, end) = (block * size, count.min((block + 1) * size));
        let bases = &bases[ITEM * start..ITEM * end];
        let numbers: Vec<(Words, bool)> = (first + start..first + end)
            .map(|row| shortened(&words(exponents, row)))
            .collect();
        one_block(mode, bases, &numbers, part);
    }
    kernel!(mode, points::products(&parts, output));
}

fn one_block(mode: Mode, bases: &[u8], numbers: &[(Words, bool)], output: &mut [u8]) {
    let negative: Vec<bool> = numbers.iter().map(|(_, negative)| *negative).collect();
    let mut records = vec![Record([0; 24]); numbers.len()];
    let prepare = |(i, output): (usize, &mut [Record])| {
        let rows = 1024 * i..1024 * i + output.len();
        let items = &bases[ITEM * rows.start..ITEM * rows.end];
        kernel!(mode, multiexp::prepare(items, &negative[rows], output));
    };
    if threads() == 1 {
        records.chunks_mut(1024).enumerate().for_each(prepare);
    } else {
        in_pool(|| records.par_chunks_mut(1024).enumerate().for_each(prepare));
    }
    let lengths: Vec<usize> = numbers.iter().map(|(number, _)| bit_length(number)).collect();
    let classes = plan(&lengths);
    let mut results = vec![0; ITEM * classes.len()];
    for (class, result) in classes.iter().zip(results.chunks_mut(ITEM)) {
        let width = class.width;
        let chosen: Vec<u32> = (0..numbers.len() as u32)
            .filter(|&i| class.takes(lengths[i as usize]))
            .collect();
        let counts = |i: u32| passes(lengths[i as usize], width);
        let most = chosen.iter().map(|&i| counts(i)).max().unwrap_or(0);
        let offsets: Vec<[u64; 8]> = (0..=most).map(|passes| rows::offset(width, 8 * passes)).collect();
        let mut shifted = vec![[0; 8]; numbers.len()];
        for &i in &chosen {
            shifted[i as usize] = rows::add_offset(&numbers[i as usize].0, &offsets[counts(i)]);
        }
        let lists: Vec<Vec<u32>> = (0..most)
            .map(|pass| chosen.iter().copied().filter(|&i| counts(i) > pass).collect())
            .collect();
        // One task for each pass; where they do not fill the threads evenly, one for each thread and pass.
        let splits = if most % threads() == 0 {
            1
        } else {
            threads().min(chosen.len() / 4096).max(1)
        };
        let mut windows = vec![0; 8 * ITEM * most * splits];
        fill_rows(&mut windows, 8 * ITEM, 1, |task, output| {
            let list = &lists[task / splits];
            let (from, to) = (
                list.len() * (task % splits) / splits,
                list.len() * (task % splits + 1) / splits,
            );
            let first = 8 * (task / splits);
            kernel!(
                mode,
                multiexp::buckets(&records, &shifted, &list[from..to], width, first, output)
            );
        });
        let mut joined = vec![0; 8 * ITEM * most];
        for (windows, joined) in windows.chunks(8 * ITEM * splits).zip(joined.chunks_mut(8 * ITEM)) {
            joined.copy_from_slice(&windows[..8 * ITEM]);
            for more in windows.chunks(8 * ITEM).skip(1) {
                let before = joined.to_vec();
                kernel!(mode, points::multiply(&before, more, joined));
            }
        }
        kernel!(mode, multiexp::join_windows(&joined, width, result));
    }
    kernel!(mode, points::products(&results, output));
}

/// Exponents of some lengths in bits and how wide their windows are.
struct Class {
    above: usize,
    up_to: usize,
    width: usize,
}

impl Class {
    fn takes(&self, length: usize) -> bool {
        length > self.above && length <= self.up_to
    }
}

/// How many times eight windows an exponent has.
fn passes(length: usize, width: usize) -> usize {
    rows::window_count(length, width).div_ceil(8)
}

/// All in one, or short and long ones apart: what costs least. 0 is in none.
fn plan(lengths: &[usize]) -> Vec<Class> {
    const STEP: usize = 8;
    let mut counts = [0; 256 / STEP + 1];
    for &length in lengths {
        counts[length.div_ceil(STEP)] += 1;
    }
    let best = |above: usize, up_to: usize| -> (f64, Class) {
        let class = |width| Class {
            above: above * STEP,
            up_to: up_to * STEP,
            width,
        };
        let Some(longest) = (above + 1..=up_to).rev().find(|&i| counts[i] > 0) else {
            return (0.0, class(4));
        };
        // In additions to a bucket: two additions close one, and a doubling costs about two thirds.
        let price = |width: usize| {
            let most = passes(longest * STEP, width) as f64;
            let terms: usize = (above + 1..=longest)
                .map(|i| counts[i] * passes(i * STEP, width))
                .sum();
            terms as f64 + most * (1.9 * (1 << (width - 1)) as f64 + 8.0 * (0.62 * width as f64 + 0.9))
        };
        let width = (4..=11).min_by(|&a, &b| price(a).total_cmp(&price(b))).unwrap();
        (price(width), class(width))
    };
    let all = 256 / STEP;
    let split = (0..all)
        .min_by(|&a, &b| (best(0, a).0 + best(a, all).0).total_cmp(&(best(0, b).0 + best(b, all).0)))
        .unwrap();
    vec![best(0, split).1, best(split, all).1]
}
