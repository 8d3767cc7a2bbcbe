//! The subgroup of order q modulo p: arithmetic on rows, over any engine.

use super::engine::{Digits, Engine, digit};
use super::{inverse, number};
use crate::buffers::{fill_rows, threads};

/// Rows of a chunk of cheap work, and of work that is worth a thread for each set of lanes.
const CHEAP: usize = 256;
const DEAR: usize = 8;

pub struct Parameters {
    /// Little-endian words, as many as p has.
    pub p: Vec<u64>,
    pub q: Vec<u64>,
    pub g: Vec<u64>,
    pub safe_prime: bool,
    /// Whether (p - 1) / 2q is one prime above 2^128.
    pub prime_cofactor: bool,
}

pub struct Group<E: Engine> {
    pub(super) engine: E,
    pub(super) parameters: Parameters,
    pub(super) q: Vec<u8>,
    /// Bytes of a number and of a row of an exponent.
    pub(super) width: usize,
    pub(super) scalar_size: usize,
    pub(super) one: Vec<u8>,
    generator: Vec<u8>,
    cofactor: Vec<u8>,
    // Not in Montgomery form: 1, R^2, R^3 and 2^(8 width) R^2.
    unit: E::Lanes,
    square: E::Lanes,
    cube: E::Lanes,
    high: E::Lanes,
}

/// Bytes where consecutive rows begin.
pub(super) fn consecutive(row: usize) -> [usize; 8] {
    core::array::from_fn(|i| i * row)
}

impl<E: Engine> Group<E> {
    pub fn new(parameters: Parameters) -> Self {
        let Parameters { p, q, g, .. } = &parameters;
        let engine = E::new(p);
        let (width, q_bits) = (8 * p.len(), number::bit_length(q));
        let row_of = |words: &[u64]| {
            let (mut bytes, mut row) = (vec![0; width], vec![0; E::ROW]);
            number::to_bytes(words, &mut bytes);
            engine.limbs(&bytes, &mut row);
            row
        };
        let mut one = vec![0; E::ROW];
        engine.store(engine.one(), &mut one, &[0]);
        let mut r = vec![0; width];
        engine.number(&one, &mut r);
        let r = number::from_bytes(&r);
        // Of both engines, a limb is at most 64 bits and R at least 2^(8 width).
        let r_bits = if E::LANES == 1 { 8 * width } else { 52 * E::ROW / 8 };
        let r_squared = number::shifted(&r, r_bits, p);
        let square = engine.broadcast(&row_of(&r_squared));
        let high = engine.broadcast(&row_of(&number::shifted(&r_squared, 8 * width, p)));
        let mut cube = square;
        engine.multiply_into(&mut cube, &square);

        let mut unit = vec![0; p.len()];
        unit[0] = 1;
        let mut below = p.clone();
        number::subtract(&mut below, &unit);
        let mut cofactor = vec![0; width];
        number::to_bytes(&number::divide(&below, q).0, &mut cofactor);
        let mut q_bytes = vec![0; q_bits.div_ceil(8)];
        number::to_bytes(q, &mut q_bytes);
        let unit = engine.broadcast(&row_of(&unit));
        let mut generator = engine.broadcast(&row_of(g));
        engine.multiply_into(&mut generator, &square);
        engine.reduce(&mut generator);
        let mut generator_row = vec![0; E::ROW];
        engine.store(&generator, &mut generator_row, &[0]);
        Group {
            engine,
            q: q_bytes,
            width,
            scalar_size: 8 * q_bits.div_ceil(64),
            one,
            generator: generator_row,
            cofactor,
            unit,
            square,
            cube,
            high,
            parameters,
        }
    }

    pub fn generator(&self) -> &[u8] {
        &self.generator
    }

    pub(super) fn load(&self, items: &[u8], first: usize, count: usize) -> E::Lanes {
        let at: [usize; 8] = core::array::from_fn(|i| (first + i) * E::ROW);
        self.engine.load(items, &at[..count])
    }

    pub(super) fn store(&self, x: &E::Lanes, rows: &mut [u8]) {
        self.engine
            .store(x, rows, &consecutive(E::ROW)[..rows.len() / E::ROW]);
    }

    /// Fills rows by `f(first, count)`, which gives lanes for that many rows, at most LANES.
    pub(super) fn map(
        &self,
        out: &mut [u8],
        chunk: usize,
        f: impl Fn(usize, usize) -> E::Lanes + Sync + Send,
    ) {
        fill_rows(out, E::ROW, chunk.max(E::LANES), |first, rows| {
            for (i, part) in rows.chunks_mut(E::LANES * E::ROW).enumerate() {
                let mut x = f(first + i * E::LANES, part.len() / E::ROW);
                self.engine.reduce(&mut x);
                self.store(&x, part);
            }
        });
    }

    /// Reduced numbers of `width` little-endian bytes to items.
    pub fn from_numbers(&self, data: &[u8], out: &mut [u8]) {
        self.map(out, CHEAP, |first, count| {
            let mut limbs = vec![0; count * E::ROW];
            for (i, row) in limbs.chunks_exact_mut(E::ROW).enumerate() {
                let start = (first + i) * self.width;
                self.engine.limbs(&data[start..start + self.width], row);
            }
            let mut x = self.load(&limbs, 0, count);
            self.engine.multiply_into(&mut x, &self.square);
            x
        });
    }

    pub fn to_numbers(&self, items: &[u8], out: &mut [u8]) {
        fill_rows(out, self.width, CHEAP, |first, chunk| {
            let mut limbs = vec![0; E::LANES * E::ROW];
            for (i, part) in chunk.chunks_mut(E::LANES * self.width).enumerate() {
                let count = part.len() / self.width;
                let mut x = self.load(items, first + i * E::LANES, count);
                self.engine.multiply_into(&mut x, &self.unit);
                self.engine.reduce(&mut x);
                self.store(&x, &mut limbs[..count * E::ROW]);
                for (row, number) in limbs.chunks_exact(E::ROW).zip(part.chunks_exact_mut(self.width)) {
                    self.engine.number(row, number);
                }
            }
        });
    }

    pub fn encode(&self, items: &[u8], out: &mut [u8]) {
        self.to_numbers(items, out);
        for number in out.chunks_exact_mut(self.width) {
            number.reverse();
        }
    }

    /// x y.
    pub fn multiply(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        self.map(out, CHEAP, |first, count| {
            let mut x = self.load(a, first, count);
            self.engine.multiply_into(&mut x, &self.load(b, first, count));
            x
        });
    }

    /// Inverses, by one of each chunk (Montgomery's trick); variable time. A zero makes others of its chunk zero.
    pub fn invert(&self, items: &[u8], out: &mut [u8]) {
        let count = items.len() / E::ROW;
        let chunk = count.div_ceil(threads()).clamp(64, 4096);
        fill_rows(out, E::ROW, chunk, |first, rows| {
            self.invert_chunk(&items[first * E::ROW..first * E::ROW + rows.len()], rows);
        });
    }

    fn invert_chunk(&self, items: &[u8], out: &mut [u8]) {
        let count = items.len() / E::ROW;
        let starts: Vec<usize> = (0..count).step_by(E::LANES).collect();
        let mut products = Vec::with_capacity(starts.len());
        let mut product = *self.engine.one();
        for &start in &starts {
            products.push(product);
            self.engine.multiply_into(
                &mut product,
                &self.load(items, start, E::LANES.min(count - start)),
            );
        }
        let mut inverse = self.invert_lanes(&product, E::LANES.min(count));
        for (&start, product) in starts.iter().zip(&products).rev() {
            let lanes = E::LANES.min(count - start);
            let x = self.load(items, start, lanes);
            let mut result = inverse;
            self.engine.multiply_into(&mut result, product);
            self.engine.reduce(&mut result);
            self.store(&result, &mut out[start * E::ROW..(start + lanes) * E::ROW]);
            self.engine.multiply_into(&mut inverse, &x);
        }
    }

    /// Inverses of the first `count` lanes, at least one, by one inverse; the others become 1.
    fn invert_lanes(&self, x: &E::Lanes, count: usize) -> E::Lanes {
        let engine = &self.engine;
        let mut rows = vec![0; count * E::ROW];
        self.store(x, &mut rows);
        let lanes: Vec<E::Lanes> = rows
            .chunks_exact(E::ROW)
            .map(|row| engine.broadcast(row))
            .collect();
        let mut products = vec![lanes[0]];
        for lane in &lanes[1..] {
            let mut product = products[products.len() - 1];
            engine.multiply_into(&mut product, lane);
            products.push(product);
        }
        let mut last = products[count - 1];
        engine.reduce(&mut last);
        let mut row = vec![0; E::ROW];
        engine.store(&last, &mut row, &[0]);
        let mut bytes = vec![0; self.width];
        engine.number(&row, &mut bytes);
        let inverse = inverse::invert(&number::from_bytes(&bytes), &self.parameters.p);
        number::to_bytes(&inverse, &mut bytes);
        engine.limbs(&bytes, &mut row);
        // The inverse of x R, times R^3 / R, is that of x in Montgomery form.
        let mut inverse = engine.broadcast(&row);
        engine.multiply_into(&mut inverse, &self.cube);
        for i in (0..count).rev() {
            let mut result = inverse;
            if i > 0 {
                engine.multiply_into(&mut result, &products[i - 1]);
            }
            engine.store(&result, &mut rows[i * E::ROW..], &[0]);
            engine.multiply_into(&mut inverse, &lanes[i]);
        }
        self.load(&rows, 0, count)
    }

    /// Products of rows of as many items, in C order.
    pub fn products(&self, items: &[u8], rows: usize) -> Vec<u8> {
        let length = items.len() / E::ROW / rows.max(1);
        // Each row in pieces, so that all lanes have one, and again.
        let lanes = if items.len() / E::ROW < CHEAP {
            E::LANES
        } else {
            E::LANES * threads()
        };
        let pieces = lanes.div_ceil(rows.max(1)).min(length / 2).max(1);
        let piece = length.div_ceil(pieces);
        let mut out = vec![0; rows * pieces * E::ROW];
        self.map(&mut out, E::LANES, |first, count| {
            let spans: [(usize, usize); 8] = core::array::from_fn(|i| {
                let (row, part) = ((first + i) / pieces, (first + i) % pieces);
                (
                    row * length + (part * piece).min(length),
                    row * length + ((part + 1) * piece).min(length),
                )
            });
            let mut product = *self.engine.one();
            for k in 0..piece {
                let present = |&(start, end): &(usize, usize)| start + k < end;
                if spans[..count].iter().all(present) {
                    let at = spans.map(|(start, _)| (start + k) * E::ROW);
                    self.engine
                        .multiply_into(&mut product, &self.engine.load(items, &at[..count]));
                } else {
                    let mut part = vec![0; E::LANES * E::ROW];
                    self.store(self.engine.one(), &mut part);
                    for (i, span) in spans[..count]
                        .iter()
                        .enumerate()
                        .filter(|(_, span)| present(span))
                    {
                        let start = (span.0 + k) * E::ROW;
                        part[i * E::ROW..(i + 1) * E::ROW].copy_from_slice(&items[start..start + E::ROW]);
                    }
                    self.engine
                        .multiply_into(&mut product, &self.load(&part, 0, E::LANES));
                }
            }
            product
        });
        if pieces == 1 {
            out
        } else {
            self.products(&out, rows)
        }
    }

    /// Item i is the product of items 0 to i.
    pub fn running_products(&self, items: &[u8], out: &mut [u8]) {
        let count = items.len() / E::ROW;
        let segments = if count < 2 * E::LANES {
            1
        } else {
            E::LANES * threads()
        };
        let segment = count.div_ceil(segments).max(1);
        // Each lane runs through a segment of its own.
        fill_rows(out, E::ROW, E::LANES * segment, |first, rows| {
            let total = rows.len() / E::ROW;
            let starts: Vec<usize> = (0..total).step_by(segment).collect();
            let mut product = *self.engine.one();
            for k in 0..segment.min(total) {
                // Only the last segment is shorter.
                let at: Vec<usize> = starts
                    .iter()
                    .filter(|&&s| s + k < total)
                    .map(|s| (s + k) * E::ROW)
                    .collect();
                let x = self.engine.load(&items[first * E::ROW..], &at);
                self.engine.multiply_into(&mut product, &x);
                let mut reduced = product;
                self.engine.reduce(&mut reduced);
                self.engine.store(&reduced, rows, &at);
            }
        });
        if count <= segment {
            return;
        }
        let mut before = vec![self.one.clone()];
        let mut product = *self.engine.one();
        for start in (segment..count).step_by(segment) {
            self.engine
                .multiply_into(&mut product, &self.engine.load(out, &[(start - 1) * E::ROW]));
            let mut row = vec![0; E::ROW];
            self.engine.store(&product, &mut row, &[0]);
            before.push(row);
        }
        fill_rows(out, E::ROW, segment, |first, rows| {
            if first == 0 {
                return;
            }
            let before = self.engine.broadcast(&before[first / segment]);
            for part in rows.chunks_mut(E::LANES * E::ROW) {
                let mut x = self.load(part, 0, part.len() / E::ROW);
                self.engine.multiply_into(&mut x, &before);
                self.engine.reduce(&mut x);
                self.store(&x, part);
            }
        });
    }

    /// Each base to the low `bits` of its exponent, by a sequence of operations and addresses that depends on `bits` alone.
    pub fn powers_constant_time(&self, bases: &[u8], exponents: &[u8], bits: usize, out: &mut [u8]) {
        self.map(out, DEAR, |first, count| {
            self.power(
                &self.load(bases, first, count),
                &self.rows(exponents, first, count),
                bits,
            )
        });
    }

    /// Each base to its exponent; lanes beside each other take the time of the longest.
    pub fn powers(&self, bases: &[u8], exponents: &[u8], out: &mut [u8]) {
        self.map(out, DEAR, |first, count| {
            let rows = self.rows(exponents, first, count);
            let bits = rows
                .iter()
                .map(|row| number::bit_length_of_bytes(row))
                .max()
                .unwrap_or(0);
            self.power(&self.load(bases, first, count), &rows, bits)
        });
    }

    fn rows<'a>(&self, exponents: &'a [u8], first: usize, count: usize) -> Vec<&'a [u8]> {
        exponents[first * self.scalar_size..]
            .chunks_exact(self.scalar_size)
            .take(count)
            .collect()
    }

    /// Fixed windows; lanes beyond the exponents give 1.
    pub(super) fn power(&self, base: &E::Lanes, exponents: &[&[u8]], bits: usize) -> E::Lanes {
        let engine = &self.engine;
        let window = (1..6).min_by_key(|w| bits.div_ceil(*w) + (1 << w)).unwrap_or(1);
        let table = self.multiples(base, window);
        let digits = |start| -> Digits {
            core::array::from_fn(|i| {
                exponents
                    .get(i)
                    .map_or(0, |e| digit(e, start, window.min(bits - start)))
            })
        };
        let mut result = *engine.one();
        for start in (0..bits).step_by(window).rev() {
            if start + window < bits {
                for _ in 0..window {
                    engine.square(&mut result);
                }
                engine.multiply_into(&mut result, &engine.select(&table, &digits(start)));
            } else {
                result = engine.select(&table, &digits(start));
            }
        }
        result
    }

    /// All 2^window powers of the base from 0 on.
    pub(super) fn multiples(&self, base: &E::Lanes, window: usize) -> Vec<E::Lanes> {
        let mut table = vec![*self.engine.one(), *base];
        for i in 2..1 << window {
            let mut x: E::Lanes = table[i / 2];
            if i % 2 == 0 {
                self.engine.square(&mut x);
            } else {
                x = table[i - 1];
                self.engine.multiply_into(&mut x, base);
            }
            table.push(x);
        }
        table
    }

    /// Uniform big-endian bytes, 16 more than a number has, modulo p, raised to the cofactor; 0 gives the identity.
    pub fn from_uniform(&self, data: &[u8], out: &mut [u8]) {
        let size = self.width + 16;
        let bits = number::bit_length_of_bytes(&self.cofactor);
        self.map(out, DEAR, |first, count| {
            let (mut low, mut high) = (vec![0; count * E::ROW], vec![0; count * E::ROW]);
            for i in 0..count {
                let mut number = data[(first + i) * size..(first + i + 1) * size].to_vec();
                number.reverse();
                self.engine
                    .limbs(&number[..self.width], &mut low[i * E::ROW..(i + 1) * E::ROW]);
                self.engine
                    .limbs(&number[self.width..], &mut high[i * E::ROW..(i + 1) * E::ROW]);
            }
            let (mut x, mut y) = (self.load(&low, 0, count), self.load(&high, 0, count));
            self.engine.multiply_into(&mut x, &self.square);
            self.engine.multiply_into(&mut y, &self.high);
            self.engine.add_into(&mut x, &y);
            let x = self.power(&x, &vec![&self.cofactor[..]; count], bits);
            self.without_zeros(x)
        });
    }

    fn without_zeros(&self, mut x: E::Lanes) -> E::Lanes {
        self.engine.reduce(&mut x);
        let mut rows = vec![0; E::LANES * E::ROW];
        self.store(&x, &mut rows);
        for row in rows
            .chunks_exact_mut(E::ROW)
            .filter(|row| row.iter().all(|&byte| byte == 0))
        {
            row.copy_from_slice(&self.one);
        }
        self.load(&rows, 0, E::LANES)
    }
}
