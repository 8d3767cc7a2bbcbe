//! Powers of one base, by a table of its powers for every window of the exponent.

use std::sync::Arc;

use super::engine::{Digits, Engine, digit};
use super::group::Group;
use crate::buffers::fill_rows;

/// Rows that go through the windows together, so that their products stay in the cache beside one plane.
const TOGETHER: usize = 512;

/// Numbers in a line of the cache.
const LINE: usize = 8;

pub struct Table<E: Engine> {
    group: Arc<Group<E>>,
    /// One after the other; a window's plane is read whole for each lookup.
    planes: Vec<u64>,
    /// Where they begin, at a line of the cache.
    start: usize,
    bits: usize,
}

impl<E: Engine> Table<E> {
    /// For exponents below 2^bits. Costs 2^window products for each window, and a squaring for each bit.
    pub fn new(group: Arc<Group<E>>, base: &[u8], bits: usize) -> Self {
        let engine = &group.engine;
        let windows = bits.div_ceil(E::TABLE_BITS).max(1);
        let entries = 1 << E::TABLE_BITS;
        let plane = entries * E::ROW / 8;
        let mut bases = vec![0; windows * E::ROW];
        let mut power = engine.broadcast(base);
        for row in bases.chunks_exact_mut(E::ROW) {
            engine.store(&power, row, &[0]);
            for _ in 0..E::TABLE_BITS {
                engine.square(&mut power);
            }
        }
        // Lanes are windows.
        let mut planes = vec![0u64; windows * plane + LINE];
        let start = planes.as_ptr().align_offset(8 * LINE).min(LINE);
        let fill = |first: usize, planes: &mut [u64]| {
            let count = planes.len() / plane;
            let base = group.load(&bases, first, count);
            let mut power = *engine.one();
            let mut rows = vec![0; count * E::ROW];
            for entry in 0..entries {
                group.store(&power, &mut rows);
                for (plane, row) in planes.chunks_exact_mut(plane).zip(rows.chunks_exact(E::ROW)) {
                    engine.put(plane, entry, row);
                }
                engine.multiply_into(&mut power, &base);
            }
        };
        crate::buffers::in_pool(|| {
            use rayon::prelude::*;
            let planes = &mut planes[start..start + windows * plane];
            let chunks = planes.par_chunks_mut(E::LANES * plane).enumerate();
            chunks.for_each(|(i, planes)| fill(i * E::LANES, planes));
        });
        Table {
            group,
            planes,
            start,
            bits,
        }
    }

    pub fn bits(&self) -> usize {
        self.bits
    }

    pub fn bytes(&self) -> usize {
        8 * self.planes.len()
    }

    /// Constant-time: for each window every entry is read, and one multiplied.
    pub fn powers(&self, exponents: &[u8], out: &mut [u8]) {
        let (group, engine) = (&self.group, &self.group.engine);
        let size = group.scalar_size;
        let plane = (E::ROW / 8) << E::TABLE_BITS;
        fill_rows(out, E::ROW, TOGETHER, |first, rows| {
            let count = rows.len() / E::ROW;
            let digits = |i: usize, window: usize| -> Digits {
                core::array::from_fn(|lane| match i * E::LANES + lane {
                    k if lane < E::LANES && k < count => {
                        let exponent = &exponents[(first + k) * size..(first + k + 1) * size];
                        digit(exponent, window * E::TABLE_BITS, E::TABLE_BITS)
                    }
                    _ => 0,
                })
            };
            let mut products = vec![*engine.one(); count.div_ceil(E::LANES)];
            for (window, plane) in self.planes[self.start..].chunks_exact(plane).enumerate() {
                for (i, product) in products.iter_mut().enumerate() {
                    let x = engine.lookup(plane, &digits(i, window));
                    engine.multiply_into(product, &x);
                }
            }
            for (product, part) in products.iter_mut().zip(rows.chunks_mut(E::LANES * E::ROW)) {
                engine.reduce(product);
                group.store(product, part);
            }
        });
    }
}
