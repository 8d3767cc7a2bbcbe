//! The engine of eight lanes.

use super::engine::{Digits, Engine};
use super::kernel::{self, Lanes, Modulus};
use super::{number, symbols};

/// L limbs of 52 bits; `new` is called only where the processor has the instructions, so that an engine proves them.
pub struct Ifma<const L: usize> {
    modulus: Modulus<L>,
    one: Lanes<L>,
    one_row: [u64; L],
}

const MASK: u64 = (1 << 52) - 1;

/// Limbs of 52 bits of words of 64.
fn split<const L: usize>(words: &[u64]) -> [u64; L] {
    core::array::from_fn(|i| {
        let (word, shift) = (52 * i / 64, 52 * i % 64);
        let low = words.get(word).map_or(0, |x| x >> shift);
        let high = if shift > 12 {
            words.get(word + 1).map_or(0, |x| x << (64 - shift))
        } else {
            0
        };
        (low | high) & MASK
    })
}

fn bytes(limbs: &[u64], row: &mut [u8]) {
    for (chunk, limb) in row.chunks_exact_mut(8).zip(limbs) {
        chunk.copy_from_slice(&limb.to_le_bytes());
    }
}

impl<const L: usize> Ifma<L> {
    fn row(data: &[u8], at: usize) -> *const u64 {
        data[at..at + 8 * L].as_ptr().cast()
    }
}

// SAFETY of all calls of the kernel: an engine exists only where `crate::has_ifma` found the instructions, and
// references to `Lanes` are aligned and whole.
impl<const L: usize> Engine for Ifma<L> {
    const LANES: usize = 8;
    const ROW: usize = 8 * L;
    const TABLE_BITS: usize = 8;
    type Lanes = Lanes<L>;

    fn new(p: &[u64]) -> Self {
        assert!(crate::mode() == "ifma");
        let bits = number::bit_length(p);
        assert!(L.is_multiple_of(10) && bits == 64 * p.len() && bits + 31 < 52 * L);
        // 2^bits modulo p is 2^bits - p.
        let mut power = vec![0; p.len()];
        number::subtract(&mut power, p);
        let one_row = split(&number::shifted(&power, 52 * L - bits, p));
        Ifma {
            modulus: Modulus {
                p: Lanes(split::<L>(p).map(|limb| [limb; 8])),
                n0: number::minus_inverse(p[0]) & MASK,
            },
            one: Lanes(one_row.map(|limb| [limb; 8])),
            one_row,
        }
    }

    fn one(&self) -> &Lanes<L> {
        &self.one
    }

    fn multiply(&self, a: &Lanes<L>, b: &Lanes<L>, out: &mut Lanes<L>) {
        // SAFETY: see above.
        unsafe { kernel::multiply(&self.modulus, a, b, out) }
    }

    fn multiply_into(&self, a: &mut Lanes<L>, b: &Lanes<L>) {
        let a: *mut Lanes<L> = a;
        // SAFETY: see above; the kernel lets the result be an operand.
        unsafe { kernel::multiply(&self.modulus, a, b, a) }
    }

    fn square(&self, a: &mut Lanes<L>) {
        let a: *mut Lanes<L> = a;
        // SAFETY: as above.
        unsafe { kernel::square(&self.modulus, a, a) }
    }

    fn add_into(&self, a: &mut Lanes<L>, b: &Lanes<L>) {
        let mut carry = [0; 8];
        for (x, y) in a.0.iter_mut().zip(&b.0) {
            for lane in 0..8 {
                let sum = x[lane] + y[lane] + carry[lane];
                (x[lane], carry[lane]) = (sum & MASK, sum >> 52);
            }
        }
    }

    fn reduce(&self, a: &mut Lanes<L>) {
        // SAFETY: see above.
        unsafe { kernel::reduce_once(&self.modulus, a) }
    }

    fn load(&self, data: &[u8], at: &[usize]) -> Lanes<L> {
        let mut rows = [self.one_row.as_ptr(); 8];
        for (row, &start) in rows.iter_mut().zip(at) {
            *row = Self::row(data, start);
        }
        let mut out = Lanes::ZERO;
        // SAFETY: see above; `row` has looked that L limbs are there.
        unsafe { kernel::load_rows(&rows, &mut out) };
        out
    }

    fn store(&self, x: &Lanes<L>, data: &mut [u8], at: &[usize]) {
        let mut rows = [core::ptr::null_mut(); 8];
        for (row, &start) in rows.iter_mut().zip(at) {
            *row = data[start..start + 8 * L].as_mut_ptr().cast();
        }
        // SAFETY: as in `load`; bytes need no alignment.
        unsafe { kernel::store_rows(x, &rows) }
    }

    fn broadcast(&self, row: &[u8]) -> Lanes<L> {
        let mut out = Lanes::ZERO;
        for (lanes, limb) in out.0.iter_mut().zip(row.chunks_exact(8)) {
            *lanes = [u64::from_le_bytes(limb.try_into().unwrap()); 8];
        }
        out
    }

    fn limbs(&self, number: &[u8], row: &mut [u8]) {
        bytes(&split::<L>(&number::from_bytes(number)), row);
    }

    fn number(&self, row: &[u8], number: &mut [u8]) {
        let limbs = number::from_bytes(row);
        let mut words = [0; 128];
        for (i, limb) in limbs.iter().enumerate() {
            let (word, shift) = (52 * i / 64, 52 * i % 64);
            words[word] |= limb << shift;
            if shift > 12 {
                words[word + 1] |= limb >> (64 - shift);
            }
        }
        number::to_bytes(&words, number);
    }

    fn are_squares(&self, x: &Lanes<L>) -> [Option<bool>; 8] {
        // SAFETY: see above.
        unsafe { symbols::are_squares(x, &self.modulus.p) }
    }

    fn select(&self, table: &[Lanes<L>], digits: &Digits) -> Lanes<L> {
        assert!(table.len() <= 64);
        let mut out = Lanes::ZERO;
        // SAFETY: see above.
        unsafe { kernel::select(table, digits, &mut out) };
        out
    }

    fn put(&self, plane: &mut [u64], entry: usize, row: &[u8]) {
        for (limbs, limb) in plane.chunks_exact_mut(256).zip(row.chunks_exact(8)) {
            limbs[entry] = u64::from_le_bytes(limb.try_into().unwrap());
        }
    }

    fn lookup(&self, plane: &[u64], digits: &Digits) -> Lanes<L> {
        assert!(plane.len() == 256 * L);
        let mut out = Lanes::ZERO;
        // SAFETY: see above.
        unsafe { kernel::lookup(plane.as_ptr(), digits, &mut out) };
        out
    }
}
