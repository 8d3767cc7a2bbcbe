//! The class `ModP`.

// `from_numbers` makes items of numbers, by a group.
#![allow(clippy::wrong_self_convention)]

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::engine::Engine;
use super::group::{Group, Parameters};
use super::number;
use super::portable::Portable;
use super::table::Table;
use crate::buffers::{Input, filled, row_count};

/// What `ModP` needs of a group, whatever its engine and size.
trait Rows: Send + Sync {
    fn sizes(&self) -> Sizes;
    fn one(&self) -> &[u8];
    fn generator(&self) -> &[u8];
    fn decode(&self, data: &[u8], items: &mut [u8], mask: &mut [u8]);
    fn encode(&self, items: &[u8], out: &mut [u8]);
    fn from_numbers(&self, data: &[u8], out: &mut [u8]);
    fn to_numbers(&self, items: &[u8], out: &mut [u8]);
    fn multiply(&self, a: &[u8], b: &[u8], out: &mut [u8]);
    fn invert(&self, items: &[u8], out: &mut [u8]);
    fn products(&self, items: &[u8], rows: usize, out: &mut [u8]);
    fn running_products(&self, items: &[u8], out: &mut [u8]);
    fn powers(&self, bases: &[u8], exponents: &[u8], out: &mut [u8]);
    fn powers_constant_time(&self, bases: &[u8], exponents: &[u8], bits: usize, out: &mut [u8]);
    fn multiexp(&self, bases: &[u8], exponents: &[u8], rows: usize, out: &mut [u8]);
    fn from_uniform(&self, data: &[u8], out: &mut [u8]);
    fn table(&self, base: &[u8], bits: usize) -> Box<dyn Powers>;
}

trait Powers: Send + Sync {
    fn bits(&self) -> usize;
    fn bytes(&self) -> usize;
    fn powers(&self, exponents: &[u8], out: &mut [u8]);
}

#[derive(Clone, Copy)]
struct Sizes {
    item: usize,
    scalar: usize,
    /// Bytes of an encoding.
    width: usize,
    order_bits: usize,
}

impl<E: Engine> Rows for Arc<Group<E>> {
    fn sizes(&self) -> Sizes {
        let order_bits = number::bit_length_of_bytes(&self.q);
        Sizes {
            item: E::ROW,
            scalar: self.scalar_size,
            width: self.width,
            order_bits,
        }
    }

    fn one(&self) -> &[u8] {
        &self.one
    }

    fn generator(&self) -> &[u8] {
        Group::generator(self)
    }

    fn decode(&self, data: &[u8], items: &mut [u8], mask: &mut [u8]) {
        Group::decode(self, data, items, mask);
    }

    fn encode(&self, items: &[u8], out: &mut [u8]) {
        Group::encode(self, items, out);
    }

    fn from_numbers(&self, data: &[u8], out: &mut [u8]) {
        Group::from_numbers(self, data, out);
    }

    fn to_numbers(&self, items: &[u8], out: &mut [u8]) {
        Group::to_numbers(self, items, out);
    }

    fn multiply(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        Group::multiply(self, a, b, out);
    }

    fn invert(&self, items: &[u8], out: &mut [u8]) {
        Group::invert(self, items, out);
    }

    fn products(&self, items: &[u8], rows: usize, out: &mut [u8]) {
        out.copy_from_slice(&Group::products(self, items, rows));
    }

    fn running_products(&self, items: &[u8], out: &mut [u8]) {
        Group::running_products(self, items, out);
    }

    fn powers(&self, bases: &[u8], exponents: &[u8], out: &mut [u8]) {
        Group::powers(self, bases, exponents, out);
    }

    fn powers_constant_time(&self, bases: &[u8], exponents: &[u8], bits: usize, out: &mut [u8]) {
        Group::powers_constant_time(self, bases, exponents, bits, out);
    }

    fn multiexp(&self, bases: &[u8], exponents: &[u8], rows: usize, out: &mut [u8]) {
        Group::multiexp(self, bases, exponents, rows, out);
    }

    fn from_uniform(&self, data: &[u8], out: &mut [u8]) {
        Group::from_uniform(self, data, out);
    }

    fn table(&self, base: &[u8], bits: usize) -> Box<dyn Powers> {
        Box::new(Table::new(Arc::clone(self), base, bits))
    }
}

impl<E: Engine> Powers for Table<E> {
    fn bits(&self) -> usize {
        Table::bits(self)
    }

    fn bytes(&self) -> usize {
        Table::bytes(self)
    }

    fn powers(&self, exponents: &[u8], out: &mut [u8]) {
        Table::powers(self, exponents, out);
    }
}

fn shared<E: Engine>(parameters: Parameters) -> Arc<dyn Rows> {
    Arc::new(Arc::new(Group::<E>::new(parameters)))
}

fn group_of(parameters: Parameters) -> PyResult<Arc<dyn Rows>> {
    let bits = number::bit_length(&parameters.p);
    #[cfg(target_arch = "x86_64")]
    if crate::mode() == "ifma" {
        use super::ifma::Ifma;
        match bits {
            2048 => return Ok(shared::<Ifma<40>>(parameters)),
            3072 => return Ok(shared::<Ifma<60>>(parameters)),
            4096 => return Ok(shared::<Ifma<80>>(parameters)),
            _ => {}
        }
    }
    match bits {
        2048 => Ok(shared::<Portable<32>>(parameters)),
        3072 => Ok(shared::<Portable<48>>(parameters)),
        4096 => Ok(shared::<Portable<64>>(parameters)),
        _ => Err(PyValueError::new_err(format!(
            "p of {bits} bits, not of 2048, 3072 or 4096"
        ))),
    }
}

fn parameters(p: &[u8], q: &[u8], g: &[u8], safe_prime: bool, prime_cofactor: bool) -> PyResult<Parameters> {
    let bits = number::bit_length_of_bytes(p);
    let words = bits.div_ceil(64);
    let read = |bytes: &[u8], name: &str| {
        let mut words = vec![0; words];
        let used = number::from_bytes(&bytes[..number::bit_length_of_bytes(bytes).div_ceil(8)]);
        if used.len() > words.len() {
            return Err(PyValueError::new_err(format!("{name} is above p")));
        }
        words[..used.len()].copy_from_slice(&used);
        Ok(words)
    };
    let (p, q, g) = (read(p, "p")?, read(q, "q")?, read(g, "g")?);
    if bits < 2 || p[0] & 1 == 0 || q[0] & 1 == 0 || !number::is_below(&q, &p) || !number::is_below(&g, &p) {
        return Err(PyValueError::new_err("p and q are odd, q and g below p"));
    }
    let mut below = p.clone();
    below[0] -= 1;
    let (cofactor, rest) = number::divide(&below, &q);
    if number::bit_length(&rest) > 0 {
        return Err(PyValueError::new_err("q does not divide p - 1"));
    }
    let two = number::bit_length(&cofactor) == 2 && cofactor[0] == 2;
    if safe_prime && !two {
        return Err(PyValueError::new_err("p is not 2 q + 1"));
    }
    if number::bit_length(&q) < 128 {
        return Err(PyValueError::new_err("q has fewer than 128 bits"));
    }
    Ok(Parameters {
        p,
        q,
        g,
        safe_prime,
        prime_cofactor: prime_cofactor && !safe_prime,
    })
}

/// The subgroup of prime order q of the integers modulo a prime p of 2048, 3072 or 4096 bits, generated by g.
///
/// p, q and g are little-endian; that q and p are primes and g is of order q is believed. `safe_prime` says that
/// p = 2 q + 1, `prime_cofactor` that (p - 1) / 2 q is one prime above 2^128; membership is cheaper to check then.
/// Items are rows of `item_size` bytes, equal exactly where they are equal as bytes; exponents rows of `scalar_size`.
#[pyclass(frozen, module = "evote_native")]
pub struct ModP {
    group: Arc<dyn Rows>,
    sizes: Sizes,
}

impl ModP {
    fn items(&self, data: &[u8], what: &str) -> PyResult<usize> {
        row_count(data, self.sizes.item, what)
    }

    /// Bases and as many exponents.
    fn pairs(&self, bases: &[u8], exponents: &[u8]) -> PyResult<usize> {
        let count = self.items(bases, "bases")?;
        same(count, row_count(exponents, self.sizes.scalar, "exponents")?)?;
        Ok(count)
    }

    fn item<'a>(&self, data: &'a [u8]) -> PyResult<&'a [u8]> {
        same(1, self.items(data, "one item")?)?;
        Ok(data)
    }
}

fn same(a: usize, b: usize) -> PyResult<()> {
    if a == b {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("{a} and {b} rows are not as many")))
    }
}

fn divided(count: usize, rows: usize) -> PyResult<()> {
    if (rows == 0 && count == 0) || (rows > 0 && count.is_multiple_of(rows)) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{count} items are not {rows} rows of as many"
    )))
}

/// Whether all exponents are below 2^bits; only the answer depends on them.
fn fit(exponents: &[u8], size: usize, bits: usize) -> PyResult<()> {
    let mut high = 0;
    for row in exponents.chunks_exact(size) {
        for (i, byte) in row.iter().enumerate().skip(bits / 8) {
            high |= if i == bits / 8 { byte >> (bits % 8) } else { *byte };
        }
    }
    if high == 0 {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("an exponent is above 2^{bits}")))
    }
}

type Answer<'py> = PyResult<Bound<'py, PyBytes>>;

#[pymethods]
impl ModP {
    #[new]
    #[pyo3(signature = (p, q, g, safe_prime, *, prime_cofactor = false))]
    fn new(p: Input, q: Input, g: Input, safe_prime: bool, prime_cofactor: bool) -> PyResult<Self> {
        let group = group_of(parameters(&p, &q, &g, safe_prime, prime_cofactor)?)?;
        let sizes = group.sizes();
        Ok(ModP { group, sizes })
    }

    #[getter]
    fn item_size(&self) -> usize {
        self.sizes.item
    }

    #[getter]
    fn scalar_size(&self) -> usize {
        self.sizes.scalar
    }

    fn identity<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.group.one())
    }

    fn generator<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.group.generator())
    }

    /// Items of canonical big-endian numbers, and a byte 1 for each that is a member; others give the identity.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        data: Input<'py>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
        let (data, group) = (&*data, &self.group);
        let count = row_count(data, self.sizes.width, "encodings")?;
        let mut mask = vec![0; count];
        let items = filled(py, count * self.sizes.item, |out| {
            group.decode(data, out, &mut mask)
        })?;
        Ok((items, PyBytes::new(py, &mask)))
    }

    /// Big-endian numbers of the width of p.
    fn encode<'py>(&self, py: Python<'py>, items: Input<'py>) -> Answer<'py> {
        let (items, group) = (&*items, &self.group);
        let count = self.items(items, "items")?;
        filled(py, count * self.sizes.width, |out| group.encode(items, out))
    }

    /// Items of little-endian numbers below p, of `width` bytes. They are not checked for membership.
    fn from_numbers<'py>(&self, py: Python<'py>, data: Input<'py>, width: usize) -> Answer<'py> {
        let (data, group) = (&*data, &self.group);
        same(self.sizes.width, width)?;
        let count = row_count(data, width, "numbers")?;
        filled(py, count * self.sizes.item, |out| group.from_numbers(data, out))
    }

    fn to_numbers<'py>(&self, py: Python<'py>, items: Input<'py>) -> Answer<'py> {
        let (items, group) = (&*items, &self.group);
        let count = self.items(items, "items")?;
        filled(py, count * self.sizes.width, |out| group.to_numbers(items, out))
    }

    fn equal<'py>(&self, py: Python<'py>, a: Input<'py>, b: Input<'py>) -> Answer<'py> {
        let (a, b, size) = (&*a, &*b, self.sizes.item);
        let count = self.items(a, "items")?;
        same(count, self.items(b, "items")?)?;
        filled(py, count, |mask| {
            for ((found, x), y) in mask
                .iter_mut()
                .zip(a.chunks_exact(size))
                .zip(b.chunks_exact(size))
            {
                *found = (x == y) as u8;
            }
        })
    }

    fn multiply<'py>(&self, py: Python<'py>, a: Input<'py>, b: Input<'py>) -> Answer<'py> {
        let (a, b, group) = (&*a, &*b, &self.group);
        same(self.items(a, "items")?, self.items(b, "items")?)?;
        filled(py, a.len(), |out| group.multiply(a, b, out))
    }

    /// Variable time.
    fn invert<'py>(&self, py: Python<'py>, items: Input<'py>) -> Answer<'py> {
        let (items, group) = (&*items, &self.group);
        self.items(items, "items")?;
        filled(py, items.len(), |out| group.invert(items, out))
    }

    /// The products of `rows` rows of as many items, in C order.
    #[pyo3(signature = (items, rows = 1))]
    fn products<'py>(&self, py: Python<'py>, items: Input<'py>, rows: usize) -> Answer<'py> {
        let (items, group) = (&*items, &self.group);
        divided(self.items(items, "items")?, rows)?;
        filled(py, rows * self.sizes.item, |out| group.products(items, rows, out))
    }

    fn running_products<'py>(&self, py: Python<'py>, items: Input<'py>) -> Answer<'py> {
        let (items, group) = (&*items, &self.group);
        self.items(items, "items")?;
        filled(py, items.len(), |out| group.running_products(items, out))
    }

    /// Each base to its exponent; variable time.
    fn powers<'py>(&self, py: Python<'py>, bases: Input<'py>, exponents: Input<'py>) -> Answer<'py> {
        let (bases, exponents, group) = (&*bases, &*exponents, &self.group);
        self.pairs(bases, exponents)?;
        filled(py, bases.len(), |out| group.powers(bases, exponents, out))
    }

    /// Each base to its exponent below 2^bits, by operations and addresses that no exponent changes; `bits` is public,
    /// and that of q where it is not given.
    #[pyo3(signature = (bases, exponents, bits = None))]
    fn powers_constant_time<'py>(
        &self,
        py: Python<'py>,
        bases: Input<'py>,
        exponents: Input<'py>,
        bits: Option<usize>,
    ) -> Answer<'py> {
        let (bases, exponents, group) = (&*bases, &*exponents, &self.group);
        let bits = bits.unwrap_or(self.sizes.order_bits);
        self.pairs(bases, exponents)?;
        fit(exponents, self.sizes.scalar, bits)?;
        filled(py, bases.len(), |out| {
            group.powers_constant_time(bases, exponents, bits, out)
        })
    }

    /// A table for powers of one base with exponents below 2^bits; of q's bits where that is not given.
    #[pyo3(signature = (base, bits = None))]
    fn table(&self, py: Python<'_>, base: Input<'_>, bits: Option<usize>) -> PyResult<ModPTable> {
        let (base, group) = (self.item(&base)?.to_vec(), &self.group);
        let bits = bits.unwrap_or(self.sizes.order_bits);
        if bits > 8 * self.sizes.scalar {
            return Err(PyValueError::new_err(format!("exponents have no {bits} bits")));
        }
        let table = py.detach(|| group.table(&base, bits));
        Ok(ModPTable {
            table,
            sizes: self.sizes,
        })
    }

    /// For each of `rows` rows of as many items one product of powers; variable time.
    #[pyo3(signature = (bases, exponents, rows = 1))]
    fn multiexp<'py>(
        &self,
        py: Python<'py>,
        bases: Input<'py>,
        exponents: Input<'py>,
        rows: usize,
    ) -> Answer<'py> {
        let (bases, exponents, group) = (&*bases, &*exponents, &self.group);
        divided(self.pairs(bases, exponents)?, rows)?;
        filled(py, rows * self.sizes.item, |out| {
            group.multiexp(bases, exponents, rows, out)
        })
    }

    /// Uniform big-endian numbers, 16 bytes wider than p, to members nobody knows the logarithm of.
    fn from_uniform<'py>(&self, py: Python<'py>, data: Input<'py>) -> Answer<'py> {
        let (data, group) = (&*data, &self.group);
        let count = row_count(data, self.sizes.width + 16, "uniform numbers")?;
        filled(py, count * self.sizes.item, |out| group.from_uniform(data, out))
    }
}

/// Powers of one base, constant-time.
#[pyclass(frozen, module = "evote_native")]
pub struct ModPTable {
    table: Box<dyn Powers>,
    sizes: Sizes,
}

#[pymethods]
impl ModPTable {
    #[getter]
    fn nbytes(&self) -> usize {
        self.table.bytes()
    }

    #[getter]
    fn bits(&self) -> usize {
        self.table.bits()
    }

    /// The base to exponents below 2^bits, by operations and addresses that no exponent changes.
    fn powers<'py>(&self, py: Python<'py>, exponents: Input<'py>) -> Answer<'py> {
        let (exponents, table) = (&*exponents, &self.table);
        let count = row_count(exponents, self.sizes.scalar, "exponents")?;
        fit(exponents, self.sizes.scalar, table.bits())?;
        filled(py, count * self.sizes.item, |out| table.powers(exponents, out))
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ModP>()?;
    module.add_class::<ModPTable>()
}
