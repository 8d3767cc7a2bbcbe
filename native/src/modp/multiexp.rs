//! Products of powers; variable time, for public exponents.
//!
//! Few powers share their squarings (Straus), each lane with powers of its own. Many are put into buckets
//! (Pippenger): lanes are eight windows, and the base goes to all of them.

use rayon::prelude::*;
use std::borrow::Cow;

use super::engine::{Digits, Engine, digit};
use super::group::Group;
use super::number;
use crate::buffers::{in_pool, threads};

/// Bits that an exponent just below q must become shorter by to be worth an inverse.
const SAVING: usize = 48;
/// A squaring, in multiplications.
const SQUARE: f64 = 0.8;
/// Bytes of buckets that stay near the processor.
const NEAR: usize = 3 << 19;
/// Bytes of a line of the cache.
const LINE: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Plan {
    Straus { window: usize },
    Buckets { window: usize },
}

/// What the powers of one call have in common: row r has the items r length .. (r + 1) length.
struct Powers<'a> {
    bases: Cow<'a, [u8]>,
    exponents: Cow<'a, [u8]>,
    /// Bits of each exponent.
    bits: Vec<usize>,
    /// For each row, its items by falling length of the exponents.
    order: Vec<usize>,
    rows: usize,
    length: usize,
    longest: usize,
}

impl<E: Engine> Group<E> {
    /// For each of `rows` rows of as many items, the product of the powers.
    ///
    /// Exponents are below q; those less than 2^(bits(q) - 48) below it are taken as short negative ones.
    pub fn multiexp(&self, bases: &[u8], exponents: &[u8], rows: usize, out: &mut [u8]) {
        let length = bases.len() / E::ROW / rows.max(1);
        let (bases, exponents) = self.shortened(bases, exponents);
        let bits: Vec<usize> = exponents
            .chunks_exact(self.scalar_size)
            .map(number::bit_length_of_bytes)
            .collect();
        let mut order: Vec<usize> = (0..bits.len()).collect();
        if length > 0 {
            for row in order.chunks_mut(length) {
                row.sort_by_key(|&i| std::cmp::Reverse(bits[i]));
            }
        }
        let longest = bits.iter().copied().max().unwrap_or(0);
        let powers = Powers {
            bases,
            exponents,
            bits,
            order,
            rows,
            length,
            longest,
        };
        let mut result = match self.plan(&powers) {
            Plan::Straus { window } => self.straus(&powers, window),
            Plan::Buckets { window } => self.buckets(&powers, window),
        };
        for (part, rows) in result
            .chunks_mut(E::LANES * E::ROW)
            .zip(out.chunks_mut(E::LANES * E::ROW))
        {
            let mut x = self.load(part, 0, rows.len() / E::ROW);
            self.engine.reduce(&mut x);
            self.store(&x, rows);
        }
    }

    fn plan(&self, powers: &Powers) -> Plan {
        let &Powers {
            rows,
            length,
            longest,
            ref bits,
            ..
        } = powers;
        let lanes = E::LANES as f64;
        let total: usize = bits.iter().sum();
        let slices = self.slices(rows);
        let items = length.div_ceil(slices);
        let groups = (rows * slices).div_ceil(E::LANES) as f64;
        let straus = (1..7).map(|window| {
            let tables = (items << window) as f64;
            let digits = total as f64 / window as f64 / lanes;
            let price = groups * (longest as f64 * SQUARE + tables) + digits.max(groups);
            (price, Plan::Straus { window })
        });
        let buckets = (2..11).map(|window| {
            let group = window * E::LANES;
            let terms: usize = bits.iter().map(|bits| bits.div_ceil(group)).sum();
            let closing = rows * longest.div_ceil(group) * (2 << window);
            let squarings = rows.div_ceil(E::LANES) as f64 * longest as f64 * SQUARE;
            let far = if (E::LANES << window) * E::ROW > NEAR {
                1.04
            } else {
                1.0
            };
            (
                far * (terms + closing) as f64 + squarings,
                Plan::Buckets { window },
            )
        });
        let cheapest = straus.chain(buckets).min_by(|x, y| x.0.total_cmp(&y.0));
        cheapest.map_or(Plan::Straus { window: 1 }, |(_, plan)| plan)
    }

    /// How many lanes a row gets by Straus' method.
    fn slices(&self, rows: usize) -> usize {
        (E::LANES / rows.max(1)).max(1)
    }

    fn straus(&self, powers: &Powers, window: usize) -> Vec<u8> {
        let &Powers { rows, length, .. } = powers;
        let slices = self.slices(rows);
        let items = length.div_ceil(slices);
        let mut out = vec![0; rows * slices * E::ROW];
        self.map(&mut out, E::LANES, |first, count| {
            // Item k of lane i, where it has so many.
            let item = |i: usize, k: usize| -> Option<usize> {
                let (row, slice) = ((first + i) / slices, (first + i) % slices);
                let place = k * slices + slice;
                (i < count && place < length).then(|| powers.order[row * length + place])
            };
            self.straus_lanes(powers, window, items, item)
        });
        if slices == 1 {
            out
        } else {
            self.products(&out, rows)
        }
    }

    fn straus_lanes(
        &self,
        powers: &Powers,
        window: usize,
        items: usize,
        item: impl Fn(usize, usize) -> Option<usize>,
    ) -> E::Lanes {
        let engine = &self.engine;
        let bits = |k| {
            (0..E::LANES)
                .filter_map(|i| item(i, k))
                .map(|i| powers.bits[i])
                .max()
                .unwrap_or(0)
        };
        let lengths: Vec<usize> = (0..items).map(bits).collect();
        let tables: Vec<Vec<E::Lanes>> = (0..items)
            .map(|k| {
                let mut rows = vec![0; E::LANES * E::ROW];
                for (i, row) in rows.chunks_exact_mut(E::ROW).enumerate() {
                    let base =
                        item(i, k).map_or(&self.one[..], |j| &powers.bases[j * E::ROW..(j + 1) * E::ROW]);
                    row.copy_from_slice(base);
                }
                self.multiples(
                    &self.load(&rows, 0, E::LANES),
                    if lengths[k] == 0 { 1 } else { window },
                )
            })
            .collect();
        let mut result = *engine.one();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        for start in (0..longest).step_by(window).rev() {
            if start + window < longest {
                for _ in 0..window {
                    engine.square(&mut result);
                }
            }
            for (k, table) in tables.iter().enumerate().filter(|(k, _)| lengths[*k] > start) {
                let digits: Digits = core::array::from_fn(|i| {
                    let chosen = if i < E::LANES { item(i, k) } else { None };
                    chosen.map_or(0, |j| digit(self.exponent(powers, j), start, window))
                });
                if digits != [0; 8] {
                    engine.multiply_into(&mut result, &engine.select(table, &digits));
                }
            }
        }
        result
    }

    fn exponent<'a>(&self, powers: &'a Powers, i: usize) -> &'a [u8] {
        &powers.exponents[i * self.scalar_size..(i + 1) * self.scalar_size]
    }

    fn buckets(&self, powers: &Powers, window: usize) -> Vec<u8> {
        let engine = &self.engine;
        let &Powers {
            rows,
            length,
            longest,
            ..
        } = powers;
        let group = window * E::LANES;
        let groups = longest.div_ceil(group).max(1);
        let windows = groups * E::LANES;
        // Work for every thread: the groups of windows of each row, and a row in parts where these are few.
        let wanted = if threads() == 1 {
            1
        } else {
            (2 * threads()).div_ceil(rows * groups)
        };
        let parts = wanted.min(length >> (window + 2)).max(1);
        let part = length.div_ceil(parts).max(1);
        // One row of window sums for each part.
        let mut sums = vec![0; rows * parts * windows * E::ROW];
        let fill = |i: usize, sums: &mut [u8]| {
            let (place, of) = (i / groups, i % groups);
            let (row, piece) = (place / parts, place % parts);
            let order = &powers.order[row * length..(row + 1) * length];
            let order = order.chunks(part).nth(piece).unwrap_or(&[]);
            self.store(&self.window_sums(powers, order, of * group, window), sums);
        };
        let size = E::LANES * E::ROW;
        if threads() == 1 {
            sums.chunks_mut(size)
                .enumerate()
                .for_each(|(i, sums)| fill(i, sums));
        } else {
            in_pool(|| {
                sums.par_chunks_mut(size)
                    .enumerate()
                    .for_each(|(i, sums)| fill(i, sums))
            });
        }

        // Horner's rule, where lanes are rows.
        let mut out = vec![0; rows * parts * E::ROW];
        self.map(&mut out, E::LANES, |first, count| {
            let column = |k: usize| {
                let at: [usize; 8] = core::array::from_fn(|i| ((first + i) * windows + k) * E::ROW);
                engine.load(&sums, &at[..count])
            };
            // Windows above the longest exponent are empty.
            let highest = longest.div_ceil(window).max(1) - 1;
            let mut result = column(highest);
            for k in (0..highest).rev() {
                for _ in 0..window {
                    engine.square(&mut result);
                }
                engine.multiply_into(&mut result, &column(k));
            }
            result
        });
        if parts == 1 {
            out
        } else {
            self.products(&out, rows)
        }
    }

    /// Lane i: the product of bases to their digits in the window at bit `start + i window`.
    fn window_sums(&self, powers: &Powers, order: &[usize], start: usize, window: usize) -> E::Lanes {
        let engine = &self.engine;
        // Each bucket begins at a line of the cache.
        let stride = E::ROW.next_multiple_of(LINE);
        let mut memory = vec![0; (stride * E::LANES << window) + LINE];
        let aligned = memory.as_ptr().align_offset(LINE).min(LINE);
        let buckets = &mut memory[aligned..];
        for bucket in buckets.chunks_exact_mut(stride) {
            bucket[..E::ROW].copy_from_slice(&self.one);
        }
        for &i in order {
            if powers.bits[i] <= start {
                break;
            }
            let exponent = self.exponent(powers, i);
            let digits: Digits = core::array::from_fn(|lane| digit(exponent, start + lane * window, window));
            let at: [usize; 8] =
                core::array::from_fn(|lane| ((lane << window) + digits[lane] as usize) * stride);
            let at = &at[..E::LANES];
            // Bucket 0 gathers what nobody asks for.
            let mut x = engine.load(buckets, at);
            engine.multiply_into(
                &mut x,
                &engine.broadcast(&powers.bases[i * E::ROW..(i + 1) * E::ROW]),
            );
            engine.store(&x, buckets, at);
        }
        // The product of bucket^digit: all partial products from the highest on, multiplied.
        let (mut running, mut sum) = (*engine.one(), *engine.one());
        for entry in (1..1 << window).rev() {
            let at: [usize; 8] = core::array::from_fn(|lane| ((lane << window) + entry) * stride);
            engine.multiply_into(&mut running, &engine.load(buckets, &at[..E::LANES]));
            engine.multiply_into(&mut sum, &running);
        }
        sum
    }

    /// The same powers; exponents just below q as what is missing to q, of the inverses.
    fn shortened<'a>(&self, bases: &'a [u8], exponents: &'a [u8]) -> (Cow<'a, [u8]>, Cow<'a, [u8]>) {
        let (size, bits) = (self.scalar_size, number::bit_length(&self.parameters.q));
        let q = &self.parameters.q[..size / 8];
        let rest = |exponent: &[u8]| {
            let mut rest = q.to_vec();
            let above = number::subtract(&mut rest, &number::from_bytes(exponent));
            (!above && number::bit_length(&rest) <= bits.saturating_sub(SAVING)).then_some(rest)
        };
        // The highest word says it of nearly all.
        let top = q[q.len() - 1];
        let near = |exponent: &[u8]| {
            let word = u64::from_le_bytes(exponent[size - 8..].try_into().unwrap());
            word >= top - (top >> (SAVING - 1)) - 1
        };
        let chosen: Vec<(usize, Vec<u64>)> = exponents
            .chunks_exact(size)
            .enumerate()
            .filter(|(_, exponent)| near(exponent))
            .filter_map(|(i, exponent)| rest(exponent).map(|rest| (i, rest)))
            .collect();
        if chosen.is_empty() {
            return (Cow::Borrowed(bases), Cow::Borrowed(exponents));
        }
        let (mut bases, mut exponents) = (bases.to_vec(), exponents.to_vec());
        let picked: Vec<u8> = chosen
            .iter()
            .flat_map(|(i, _)| bases[i * E::ROW..(i + 1) * E::ROW].to_vec())
            .collect();
        let mut inverses = vec![0; picked.len()];
        self.invert(&picked, &mut inverses);
        for ((i, rest), inverse) in chosen.iter().zip(inverses.chunks_exact(E::ROW)) {
            bases[i * E::ROW..(i + 1) * E::ROW].copy_from_slice(inverse);
            number::to_bytes(rest, &mut exponents[i * size..(i + 1) * size]);
        }
        (Cow::Owned(bases), Cow::Owned(exponents))
    }
}
