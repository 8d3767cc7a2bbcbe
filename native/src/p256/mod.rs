//! P-256 (NIST, SEC 2's secp256r1): y^2 = x^3 - 3 x + b modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, of prime order.
//!
//! `bulk`, `powers` and `multiexp` hold the loops and `formulas` the point arithmetic, both for any `field::Field`: `ifma` has eight lanes,
//! `portable` one. Both give the same bytes in all methods but those that return items, whose coordinates
//! may be other representatives of the same points.

pub mod bulk;
mod constants;
pub mod field;
pub mod formulas;
#[cfg(target_arch = "x86_64")]
pub mod ifma;
pub mod multiexp;
pub mod portable;
pub mod powers;
#[cfg(test)]
mod tests;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::{filled, row_count};
use formulas::ITEM;

/// Runs `$body` with `$field` the field that serves here.
macro_rules! by_mode {
    ($field:ident => $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if crate::mode() == "ifma" {
            type $field = ifma::Eight;
            $body
        } else {
            type $field = portable::One;
            $body
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            type $field = portable::One;
            $body
        }
    }};
}

const SCALAR: usize = 32;

type Bytes<'py> = PyResult<Bound<'py, PyBytes>>;
type Masked<'py> = PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>;

fn items_in(data: &[u8]) -> PyResult<usize> {
    row_count(data, ITEM, "items of P-256")
}

fn scalars_in(data: &[u8]) -> PyResult<usize> {
    row_count(data, SCALAR, "scalars of P-256")
}

/// The number of rows of two operands; a single row serves all rows of the other.
fn common(n: usize, m: usize) -> PyResult<usize> {
    match (n, m) {
        (1, n) | (n, 1) => Ok(n),
        (n, m) if n == m => Ok(n),
        _ => Err(PyValueError::new_err(format!("{n} rows met {m}"))),
    }
}

/// That n items are `rows` rows.
fn check_rows(n: usize, rows: usize) -> PyResult<()> {
    match n.checked_rem(rows) {
        Some(0) => Ok(()),
        None if n == 0 => Ok(()),
        _ => Err(PyValueError::new_err(format!("{n} items are no {rows} rows"))),
    }
}

/// New bytes of `size`, and a mask of `n`, filled together.
fn masked<'py>(
    py: Python<'py>,
    size: usize,
    n: usize,
    fill: impl FnOnce(&mut [u8], &mut [u8]) + Send,
) -> Masked<'py> {
    let mut masks = vec![0; n];
    let out = filled(py, size, |out| fill(out, &mut masks))?;
    Ok((out, PyBytes::new(py, &masks)))
}

/// The group of P-256; items are homogeneous points, 96 bytes each.
#[pyclass(frozen, module = "evote_native")]
pub struct P256;

#[pymethods]
impl P256 {
    #[new]
    fn new() -> Self {
        P256
    }

    #[getter]
    fn item_size(&self) -> usize {
        ITEM
    }

    #[getter]
    fn scalar_size(&self) -> usize {
        SCALAR
    }

    /// Bytes of an encoding.
    #[getter]
    fn encoding_size(&self) -> usize {
        bulk::ENCODING
    }

    /// Bytes for each element of `from_uniform`.
    #[getter]
    fn uniform_size(&self) -> usize {
        bulk::UNIFORM
    }

    /// Bytes of each block of `embed`.
    #[getter]
    fn block_size(&self) -> usize {
        bulk::BLOCK
    }

    fn identity<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &by_mode!(F => bulk::identity::<F>()))
    }

    fn generator<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &by_mode!(F => bulk::generator::<F>()))
    }

    /// Items of SEC 1's compressed points, 33 zeros being the identity, and a mask of those that are points.
    fn decode<'py>(&self, py: Python<'py>, data: &[u8]) -> Masked<'py> {
        let n = row_count(data, bulk::ENCODING, "encodings of P-256")?;
        masked(
            py,
            n * ITEM,
            n,
            |out, masks| by_mode!(F => bulk::decode::<F>(data, out, masks)),
        )
    }

    /// The inverse of `decode`. Constant time.
    fn encode<'py>(&self, py: Python<'py>, items: &[u8]) -> Bytes<'py> {
        let n = items_in(items)?;
        filled(
            py,
            n * bulk::ENCODING,
            |out| by_mode!(F => bulk::encode::<F>(items, out)),
        )
    }

    /// Items of Jacobian coordinates modulo p, each little-endian in `width` bytes: of points, or (.., .., 0).
    fn from_numbers<'py>(&self, py: Python<'py>, data: &[u8], width: usize) -> Bytes<'py> {
        let n = row_count(data, width.saturating_mul(3), "coordinates")?;
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => bulk::from_numbers::<F>(data, width, out)),
        )
    }

    /// Jacobian coordinates, each little-endian in 32 bytes.
    fn to_numbers<'py>(&self, py: Python<'py>, items: &[u8]) -> Bytes<'py> {
        let n = items_in(items)?;
        filled(py, n * 96, |out| by_mode!(F => bulk::to_numbers::<F>(items, out)))
    }

    /// A byte 1 for each pair of equal items, else 0. Constant time.
    fn equal<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> Bytes<'py> {
        let n = common(items_in(a)?, items_in(b)?)?;
        filled(py, n, |out| by_mode!(F => bulk::equal::<F>(a, b, out)))
    }

    /// Constant time, as are `invert`, `products` and `running_products`.
    fn multiply<'py>(&self, py: Python<'py>, a: &[u8], b: &[u8]) -> Bytes<'py> {
        let n = common(items_in(a)?, items_in(b)?)?;
        filled(py, n * ITEM, |out| by_mode!(F => bulk::multiply::<F>(a, b, out)))
    }

    fn invert<'py>(&self, py: Python<'py>, items: &[u8]) -> Bytes<'py> {
        items_in(items)?;
        filled(
            py,
            items.len(),
            |out| by_mode!(F => bulk::invert::<F>(items, out)),
        )
    }

    /// The product of each of `rows` rows.
    fn products<'py>(&self, py: Python<'py>, items: &[u8], rows: usize) -> Bytes<'py> {
        check_rows(items_in(items)?, rows)?;
        filled(
            py,
            rows * ITEM,
            |out| by_mode!(F => bulk::products::<F>(items, rows, out)),
        )
    }

    fn running_products<'py>(&self, py: Python<'py>, items: &[u8]) -> Bytes<'py> {
        items_in(items)?;
        filled(
            py,
            items.len(),
            |out| by_mode!(F => bulk::running_products::<F>(items, out)),
        )
    }

    /// Each base to its exponent below q, either of them perhaps a single one for all. Time depends on the exponents.
    fn powers<'py>(&self, py: Python<'py>, bases: &[u8], exponents: &[u8]) -> Bytes<'py> {
        let n = common(items_in(bases)?, scalars_in(exponents)?)?;
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => powers::powers::<F>(bases, exponents, false, out)),
        )
    }

    /// As `powers`, by the same operations and memory accesses for all exponents below q.
    fn powers_constant_time<'py>(&self, py: Python<'py>, bases: &[u8], exponents: &[u8]) -> Bytes<'py> {
        let n = common(items_in(bases)?, scalars_in(exponents)?)?;
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => powers::powers::<F>(bases, exponents, true, out)),
        )
    }

    /// A table for powers of one base with exponents below 2^bits. Time depends on the base.
    fn table(&self, py: Python<'_>, base: &[u8], bits: usize) -> PyResult<Table> {
        if items_in(base)? != 1 || bits == 0 {
            return Err(PyValueError::new_err(
                "a table is of one item and of at least one bit",
            ));
        }
        Ok(Table {
            table: py.detach(|| by_mode!(F => powers::Table::new::<F>(base, bits))),
        })
    }

    /// For each of `rows` rows the product of powers; `bases` may be one row for all. Time depends on all values.
    fn multiexp<'py>(&self, py: Python<'py>, bases: &[u8], exponents: &[u8], rows: usize) -> Bytes<'py> {
        let (n, m) = (items_in(bases)?, scalars_in(exponents)?);
        check_rows(m, rows)?;
        if n != m && (rows == 0 || n != m / rows) {
            return Err(PyValueError::new_err(format!(
                "{n} bases met {m} exponents in {rows} rows"
            )));
        }
        filled(
            py,
            rows * ITEM,
            |out| by_mode!(F => multiexp::multiexp::<F>(bases, exponents, rows, out)),
        )
    }

    /// RFC 9380's hash_to_curve of 96 uniform bytes each, two big-endian numbers. Constant time.
    fn from_uniform<'py>(&self, py: Python<'py>, data: &[u8]) -> Bytes<'py> {
        let n = row_count(data, bulk::UNIFORM, "uniform bytes")?;
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => bulk::from_uniform::<F>(data, out)),
        )
    }

    /// RFC 9380's map_to_curve of numbers modulo p, each little-endian in 32 bytes. Constant time.
    fn map_to_curve<'py>(&self, py: Python<'py>, data: &[u8]) -> Bytes<'py> {
        let n = row_count(data, 32, "numbers")?;
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => bulk::map_to_curve::<F>(data, out)),
        )
    }

    /// x modulo 2^64 in 8 bytes, little-endian; 0 for the identity.
    fn log_keys<'py>(&self, py: Python<'py>, items: &[u8]) -> Bytes<'py> {
        let n = items_in(items)?;
        filled(py, n * 8, |out| by_mode!(F => bulk::log_keys::<F>(items, out)))
    }

    /// Items of blocks of 30 bytes, and a mask of those that have one. Constant time.
    fn embed<'py>(&self, py: Python<'py>, blocks: &[u8]) -> Masked<'py> {
        let n = row_count(blocks, bulk::BLOCK, "blocks")?;
        masked(
            py,
            n * ITEM,
            n,
            |out, masks| by_mode!(F => bulk::embed::<F>(blocks, out, masks)),
        )
    }

    /// Blocks that `embed` makes these items of, and a mask of those that have one. Time depends on the items.
    fn extract<'py>(&self, py: Python<'py>, items: &[u8]) -> Masked<'py> {
        let n = items_in(items)?;
        masked(
            py,
            n * bulk::BLOCK,
            n,
            |out, masks| by_mode!(F => bulk::extract::<F>(items, out, masks)),
        )
    }
}

/// Powers of one base, in constant time.
#[pyclass(frozen, module = "evote_native", name = "P256Table")]
pub struct Table {
    table: powers::Table,
}

#[pymethods]
impl Table {
    #[getter]
    fn nbytes(&self) -> usize {
        self.table.size()
    }

    /// The base to each exponent, all below 2^bits, or a ValueError.
    fn powers<'py>(&self, py: Python<'py>, exponents: &[u8]) -> Bytes<'py> {
        let n = scalars_in(exponents)?;
        let all = exponents
            .chunks_exact(SCALAR)
            .fold([0u8; SCALAR], |mut all, row| {
                all.iter_mut().zip(row).for_each(|(all, x)| *all |= x);
                all
            });
        let bits = self.table.bits;
        if (bits..256).any(|i| all[i / 8] >> (i % 8) & 1 == 1) {
            return Err(PyValueError::new_err(format!(
                "exponents of more than {bits} bits"
            )));
        }
        filled(
            py,
            n * ITEM,
            |out| by_mode!(F => self.table.powers::<F>(exponents, out)),
        )
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<P256>()?;
    module.add_class::<Table>()
}
