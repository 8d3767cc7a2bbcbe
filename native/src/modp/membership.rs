//! Which numbers are members of the subgroup of order q.
//!
//! Where p = 2q + 1 a Jacobi symbol says it. Elsewhere x^q = 1 does, for few numbers one by one, for many
//! together, as evote's gmpy2 backend does it; the randomness is the operating system's.

use super::engine::Engine;
use super::group::{Group, consecutive};
use super::number;
use crate::buffers::fill_rows;

/// Random subsets of which the products are asked, and numbers that share a table of their products.
const SUBSETS: usize = 128;
const TOGETHER: usize = 6;
/// Numbers from which on products of subsets are cheaper than a power of each.
const MANY: usize = 256;
/// Numbers whose membership is asked together where the cofactor allows; fewer are cheaper one by one.
const BATCH: usize = 32;

fn random(bytes: &mut [u8]) {
    // Without randomness nothing may be said; PyO3 makes an exception of it.
    getrandom::fill(bytes).expect("the operating system gives no random bytes");
}

impl<E: Engine> Group<E> {
    /// Canonical big-endian numbers to items, and a 1 for each that is a member; the others become the identity.
    pub fn decode(&self, data: &[u8], items: &mut [u8], mask: &mut [u8]) {
        let width = self.width;
        let mut bound = vec![0; width];
        number::to_bytes(&self.parameters.p, &mut bound);
        bound.reverse();
        let mut numbers = vec![0; data.len()];
        for ((number, found), encoded) in numbers
            .chunks_exact_mut(width)
            .zip(&mut *mask)
            .zip(data.chunks_exact(width))
        {
            // Big-endian numbers of one width stand in the order of their bytes.
            *found = (encoded < &bound[..] && encoded.iter().any(|&byte| byte != 0)) as u8;
            if *found == 1 {
                number.copy_from_slice(encoded);
                number.reverse();
            } else {
                number[0] = 1;
            }
        }
        self.from_numbers(&numbers, items);
        if self.parameters.safe_prime || self.parameters.prime_cofactor {
            self.keep_squares(&numbers, items, mask);
        }
        if self.parameters.prime_cofactor {
            self.keep_members_by_halves(items, mask);
        } else if !self.parameters.safe_prime && (mask.len() < MANY || !self.are_members_by_subsets(items)) {
            self.keep_members(items, mask);
        }
        for (item, &found) in items.chunks_exact_mut(E::ROW).zip(&*mask) {
            if found == 0 {
                item.copy_from_slice(&self.one);
            }
        }
    }

    fn keep_squares(&self, numbers: &[u8], items: &[u8], mask: &mut [u8]) {
        fill_rows(mask, 1, 64, |first, mask| {
            let mut limbs = vec![0; E::LANES * E::ROW];
            for (i, mask) in mask.chunks_mut(E::LANES).enumerate() {
                let first = first + i * E::LANES;
                for (k, row) in limbs.chunks_exact_mut(E::ROW).take(mask.len()).enumerate() {
                    self.engine.limbs(
                        &numbers[(first + k) * self.width..(first + k + 1) * self.width],
                        row,
                    );
                }
                let squares = self.engine.are_squares(&self.load(&limbs, 0, mask.len()));
                for (k, (found, square)) in mask.iter_mut().zip(squares).enumerate() {
                    *found &= square
                        .unwrap_or_else(|| self.is_square_by_power(&items[(first + k) * E::ROW..]))
                        as u8;
                }
            }
        });
    }

    /// Euler's criterion, for one item.
    fn is_square_by_power(&self, items: &[u8]) -> bool {
        let mut half = self.parameters.p.clone();
        for i in 0..half.len() {
            half[i] = half[i] >> 1 | half.get(i + 1).map_or(0, |x| x << 63);
        }
        let mut bytes = vec![0; self.width];
        number::to_bytes(&half, &mut bytes);
        self.are_one(&self.power(&self.load(items, 0, 1), &[&bytes], 8 * self.width), 1)[0]
    }

    fn are_one(&self, x: &E::Lanes, count: usize) -> Vec<bool> {
        let (mut x, mut rows) = (*x, vec![0; count * E::ROW]);
        self.engine.reduce(&mut x);
        self.store(&x, &mut rows);
        rows.chunks_exact(E::ROW).map(|row| row == self.one).collect()
    }

    /// Keeps those of which the power q is 1.
    fn keep_members(&self, items: &[u8], mask: &mut [u8]) {
        let bits = number::bit_length_of_bytes(&self.q);
        fill_rows(mask, 1, E::LANES, |first, mask| {
            let exponents = vec![&self.q[..]; mask.len()];
            let power = self.power(&self.load(items, first, mask.len()), &exponents, bits);
            for (found, one) in mask.iter_mut().zip(self.are_one(&power, exponents.len())) {
                *found &= one as u8;
            }
        });
    }

    fn are_members(&self, items: &[u8]) -> bool {
        let mut mask = vec![1; items.len() / E::ROW];
        self.keep_members(items, &mut mask);
        mask.iter().all(|&found| found == 1)
    }

    /// Squares, where p - 1 = 2 q r for a prime r > 2^128: all together, and by halves where some are no members.
    ///
    /// Each is a member times an element of order 1 or r. Raised to q, a product of powers with random weights
    /// loses the members; where an element of order r takes part, at most one of the 2^128 weights it may have
    /// makes the rest 1.
    fn keep_members_by_halves(&self, items: &[u8], mask: &mut [u8]) {
        let mut waiting: Vec<Vec<usize>> = vec![(0..mask.len()).filter(|&i| mask[i] == 1).collect()];
        while let Some(mut part) = waiting.pop() {
            let picked: Vec<u8> = part
                .iter()
                .flat_map(|&i| items[i * E::ROW..(i + 1) * E::ROW].to_vec())
                .collect();
            if part.len() < BATCH {
                let mut found = vec![1; part.len()];
                self.keep_members(&picked, &mut found);
                part.iter().zip(found).for_each(|(&i, found)| mask[i] = found);
            } else if !self.are_members_by_weights(&picked) {
                let half = part.split_off(part.len() / 2);
                waiting.extend([part, half]);
            }
        }
    }

    fn are_members_by_weights(&self, items: &[u8]) -> bool {
        let size = self.scalar_size;
        let count = items.len() / E::ROW;
        let mut weights = vec![0; 16 * count];
        random(&mut weights);
        let mut exponents = vec![0; count * size];
        for (exponent, weight) in exponents.chunks_exact_mut(size).zip(weights.chunks_exact(16)) {
            exponent[..16].copy_from_slice(weight);
        }
        let mut product = vec![0; E::ROW];
        self.multiexp(items, &exponents, 1, &mut product);
        self.are_members(&product)
    }

    /// Whether all are members, in any group; error 2^-128.
    ///
    /// Where a number is no member, a product with it and the same one without it are not both members, so half
    /// of all subsets tell; weights would not do, for a number of order 3 is lost in a third of them. Numbers are
    /// taken six at a time, with a table of their 64 products: 32 products a number.
    fn are_members_by_subsets(&self, items: &[u8]) -> bool {
        let count = items.len() / E::ROW;
        let tables = count.div_ceil(TOGETHER);
        // Lanes are tables; the products gather in each lane apart, for each chunk of the numbers.
        let chunk = tables
            .div_ceil(crate::buffers::threads())
            .next_multiple_of(E::LANES);
        let chunks = tables.div_ceil(chunk);
        let mut products = vec![0; chunks * SUBSETS * E::LANES * E::ROW];
        let chunk_size = SUBSETS * E::LANES * E::ROW;
        fill_rows(&mut products, chunk_size, 1, |first, out| {
            let range = first * chunk..tables.min((first + 1) * chunk);
            for (lanes, rows) in self
                .subset_products(items, range)
                .iter()
                .zip(out.chunks_exact_mut(E::LANES * E::ROW))
            {
                self.store(lanes, rows);
            }
        });
        // Rows stand as (chunk, subset, lane): lanes first, then chunks.
        let products = self.products(&products, chunks * SUBSETS);
        let totals = (1..chunks).fold(products[..SUBSETS * E::ROW].to_vec(), |total, i| {
            let mut next = vec![0; total.len()];
            self.multiply(
                &total,
                &products[i * total.len()..(i + 1) * total.len()],
                &mut next,
            );
            next
        });
        self.are_members(&totals)
    }

    fn subset_products(&self, items: &[u8], tables: std::ops::Range<usize>) -> Vec<E::Lanes> {
        let engine = &self.engine;
        let count = items.len() / E::ROW;
        let mut products = vec![*engine.one(); SUBSETS];
        let mut entries = vec![0; (E::LANES << TOGETHER) * E::ROW];
        for first in tables.clone().step_by(E::LANES) {
            let lanes = E::LANES.min(tables.end - first);
            let mut table = vec![*engine.one()];
            for k in 0..TOGETHER {
                let mut rows = self.one.repeat(lanes);
                for (lane, row) in rows.chunks_exact_mut(E::ROW).enumerate() {
                    let i = (first + lane) * TOGETHER + k;
                    if i < count {
                        row.copy_from_slice(&items[i * E::ROW..(i + 1) * E::ROW]);
                    }
                }
                let x = self.load(&rows, 0, lanes);
                for i in 0..1 << k {
                    let mut product = table[i];
                    engine.multiply_into(&mut product, &x);
                    table.push(product);
                }
            }
            let starts = consecutive(E::ROW << TOGETHER);
            for (entry, x) in table.iter().enumerate() {
                engine.store(
                    x,
                    &mut entries,
                    &starts.map(|start| start + entry * E::ROW)[..E::LANES],
                );
            }
            let mut chosen = [0; 8 * SUBSETS];
            random(&mut chosen);
            for (product, chosen) in products.iter_mut().zip(chosen.chunks_exact(8)) {
                let at: [usize; 8] = core::array::from_fn(|lane| {
                    starts[lane] + (chosen[lane] as usize & ((1 << TOGETHER) - 1)) * E::ROW
                });
                engine.multiply_into(product, &engine.load(&entries, &at[..E::LANES]));
            }
        }
        products
    }
}
