//! What Python sees.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::bulk::{self, Kind, Mode};
use super::rows::{ITEM, SCALAR, TABLE_ENTRIES, TABLE_WINDOW, TablePlanes, identity_item, words};
use crate::buffers::{Input, filled, row_count};

/// Arithmetic of "ristretto255" or "ed25519" on items of 128 bytes: X, Y, Z, T, little-endian, below p.
#[pyclass(module = "evote_native", frozen)]
struct Edwards {
    kind: Kind,
    mode: Mode,
}

/// A base prepared for many powers.
#[pyclass(module = "evote_native", frozen)]
struct EdwardsTable {
    planes: Vec<TablePlanes>,
    bits: usize,
    mode: Mode,
}

type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Two outputs of as many rows, filled without Python's lock.
fn filled_pair<'py>(
    py: Python<'py>,
    first: usize,
    second: usize,
    fill: impl FnOnce(&mut [u8], &mut [u8]) + Send,
) -> PyResult<Pair<'py>> {
    let mut more = vec![0; second];
    let items = filled(py, first, |items| fill(items, &mut more))?;
    Ok((items, PyBytes::new(py, &more)))
}

/// The rows of two operands, of which one may be a single row.
fn common_rows(a: usize, b: usize) -> PyResult<usize> {
    match (a, b) {
        _ if a == b => Ok(a),
        (1, _) => Ok(b),
        (_, 1) => Ok(a),
        _ => Err(PyValueError::new_err(format!("{a} rows and {b} rows"))),
    }
}

fn check_bits(exponents: &[u8], bits: usize) -> PyResult<()> {
    // No exponent has a bit above the table: that would be a wrong power. All exponents are read the same way.
    let forbidden: [u64; 4] = std::array::from_fn(|k| match bits.saturating_sub(64 * k) {
        0 => u64::MAX,
        some if some < 64 => u64::MAX << some,
        _ => 0,
    });
    let mut above = 0;
    for row in 0..exponents.len() / SCALAR {
        for (word, mask) in words(exponents, row).iter().zip(forbidden) {
            above |= word & mask;
        }
    }
    if above != 0 {
        return Err(PyValueError::new_err(format!(
            "an exponent has more than {bits} bits"
        )));
    }
    Ok(())
}

/// The rows of exponents, of 253 bits at most.
fn exponent_count(exponents: &[u8]) -> PyResult<usize> {
    let count = row_count(exponents, SCALAR, "exponents")?;
    check_bits(exponents, 253)?;
    Ok(count)
}

#[pymethods]
impl Edwards {
    #[new]
    fn new(kind: &str) -> PyResult<Edwards> {
        let kind = match kind {
            "ristretto255" => Kind::Ristretto255,
            "ed25519" => Kind::Ed25519,
            _ => {
                return Err(PyValueError::new_err(
                    "a group that is ristretto255 or ed25519 is needed",
                ));
            }
        };
        Ok(Edwards {
            kind,
            mode: Mode::best(),
        })
    }

    #[getter]
    fn item_size(&self) -> usize {
        ITEM
    }

    #[getter]
    fn scalar_size(&self) -> usize {
        SCALAR
    }

    fn identity<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &identity_item())
    }

    fn generator<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut encoding = [0x66; 32]; // y = 4/5
        encoding[0] = 0x58;
        let mode = self.mode;
        filled(py, ITEM, |item| {
            bulk::decode_points(mode, &encoding, item, &mut [0])
        })
    }

    /// Items, and which encodings are members; the identity for others.
    fn decode<'py>(&self, py: Python<'py>, data: Input) -> PyResult<Pair<'py>> {
        let (data, mode, kind) = (&*data, self.mode, self.kind);
        let count = row_count(data, 32, "encodings")?;
        filled_pair(py, ITEM * count, count, |items, mask| {
            bulk::decode(mode, kind, data, items, mask)
        })
    }

    fn encode<'py>(&self, py: Python<'py>, items: Input) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode, kind) = (&*items, self.mode, self.kind);
        let count = row_count(items, ITEM, "items")?;
        filled(py, 32 * count, |output| bulk::encode(mode, kind, items, output))
    }

    /// Encodings of the squares; ristretto255 only.
    fn encode_squares<'py>(
        &self,
        py: Python<'py>,
        items: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if self.kind != Kind::Ristretto255 {
            return Err(PyValueError::new_err("encode_squares is for ristretto255"));
        }
        let (items, mode) = (&*items, self.mode);
        let count = row_count(items, ITEM, "items")?;
        filled(py, 32 * count, |output| bulk::encode_squares(mode, items, output))
    }

    /// Items of numbers X, Y, Z, T of 32 bytes each, below p: as they are.
    fn from_numbers<'py>(
        &self,
        py: Python<'py>,
        data: Input,
        width: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        row_count(&data, ITEM, "items")?;
        if width != ITEM / 4 {
            return Err(PyValueError::new_err(format!(
                "numbers of 32 bytes are needed, not {width}"
            )));
        }
        Ok(PyBytes::new(py, &data))
    }

    /// X, Y, Z, T of 32 bytes each: as they are.
    fn to_numbers<'py>(&self, py: Python<'py>, items: Input) -> PyResult<Bound<'py, PyBytes>> {
        self.from_numbers(py, items, ITEM / 4)
    }

    fn equal<'py>(
        &self,
        py: Python<'py>,
        a: Input,
        b: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (a, b, mode, kind) = (&*a, &*b, self.mode, self.kind);
        let count = common_rows(row_count(a, ITEM, "items")?, row_count(b, ITEM, "items")?)?;
        filled(py, count, |output| bulk::equal(mode, kind, a, b, output))
    }

    /// One operand may be a single item.
    fn multiply<'py>(
        &self,
        py: Python<'py>,
        a: Input,
        b: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (a, b, mode) = (&*a, &*b, self.mode);
        let count = common_rows(row_count(a, ITEM, "items")?, row_count(b, ITEM, "items")?)?;
        filled(py, ITEM * count, |output| bulk::multiply(mode, a, b, output))
    }

    fn invert<'py>(&self, py: Python<'py>, items: Input) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        row_count(items, ITEM, "items")?;
        filled(py, items.len(), |output| bulk::invert(mode, items, output))
    }

    /// `rows` products of as many items each.
    fn products<'py>(
        &self,
        py: Python<'py>,
        items: Input,
        rows: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        check_rows(row_count(items, ITEM, "items")?, rows)?;
        filled(py, ITEM * rows, |output| bulk::products(mode, items, output))
    }

    fn running_products<'py>(
        &self,
        py: Python<'py>,
        items: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        row_count(items, ITEM, "items")?;
        filled(py, items.len(), |output| {
            bulk::running_products(mode, items, output)
        })
    }

    /// Each base to its exponent; one base may serve all. Time depends on the exponents.
    fn powers<'py>(
        &self,
        py: Python<'py>,
        bases: Input,
        exponents: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (bases, exponents, mode) = (&*bases, &*exponents, self.mode);
        let count = power_count(bases, exponents)?;
        filled(py, ITEM * count, |output| {
            bulk::powers(mode, bases, exponents, output)
        })
    }

    /// The same by operations and memory accesses that no exponent changes.
    fn powers_constant_time<'py>(
        &self,
        py: Python<'py>,
        bases: Input,
        exponents: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (bases, exponents, mode) = (&*bases, &*exponents, self.mode);
        let count = power_count(bases, exponents)?;
        filled(py, ITEM * count, |output| {
            bulk::powers_constant_time(mode, bases, exponents, output)
        })
    }

    /// A table of one base, for exponents of up to `bits` bits.
    fn table(&self, py: Python<'_>, base: Input, bits: usize) -> PyResult<EdwardsTable> {
        let (base, mode) = (&*base, self.mode);
        if base.len() != ITEM || bits > 253 {
            return Err(PyValueError::new_err("one base and 253 bits at most are needed"));
        }
        Ok(EdwardsTable {
            planes: py.detach(|| bulk::build_table(mode, base, bits)),
            bits,
            mode,
        })
    }

    /// `rows` products of powers. Time depends on the exponents.
    fn multiexp<'py>(
        &self,
        py: Python<'py>,
        bases: Input,
        exponents: Input,
        rows: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (bases, exponents, mode) = (&*bases, &*exponents, self.mode);
        let count = row_count(bases, ITEM, "bases")?;
        if exponent_count(exponents)? != count {
            return Err(PyValueError::new_err(format!(
                "{count} bases and another number of exponents"
            )));
        }
        check_rows(count, rows)?;
        filled(py, ITEM * rows, |output| {
            bulk::multiexp(mode, bases, exponents, output)
        })
    }

    /// Rows of 64 uniform bytes to items.
    fn from_uniform<'py>(&self, py: Python<'py>, data: Input) -> PyResult<Bound<'py, PyBytes>> {
        let (data, mode, kind) = (&*data, self.mode, self.kind);
        let count = row_count(data, 64, "uniform bytes")?;
        filled(py, ITEM * count, |output| {
            bulk::from_uniform(mode, kind, data, output)
        })
    }

    /// Numbers of 64 bits, little-endian.
    fn log_keys<'py>(&self, py: Python<'py>, items: Input) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        let count = row_count(items, ITEM, "items")?;
        filled(py, 8 * count, |output| bulk::log_keys(mode, items, output))
    }

    /// Items of blocks of 30 bytes, and where there are such.
    fn embed<'py>(&self, py: Python<'py>, blocks: Input) -> PyResult<Pair<'py>> {
        let (blocks, mode, kind) = (&*blocks, self.mode, self.kind);
        let count = row_count(blocks, 30, "blocks")?;
        filled_pair(py, ITEM * count, count, |items, mask| {
            bulk::embed(mode, kind, blocks, items, mask)
        })
    }

    /// Blocks of items, and where there are such.
    fn extract<'py>(&self, py: Python<'py>, items: Input) -> PyResult<Pair<'py>> {
        let (items, mode) = (&*items, self.mode);
        let count = row_count(items, ITEM, "items")?;
        filled_pair(py, 30 * count, count, |blocks, mask| {
            bulk::extract(mode, items, blocks, mask)
        })
    }

    /// Points of the whole curve by RFC 8032, canonical ones only, as items of which `multiexp` and others take any.
    fn decode_points<'py>(&self, py: Python<'py>, data: Input) -> PyResult<Pair<'py>> {
        let (data, mode) = (&*data, self.mode);
        let count = row_count(data, 32, "encodings")?;
        filled_pair(py, ITEM * count, count, |items, mask| {
            bulk::decode_points(mode, data, items, mask)
        })
    }

    /// Where 8 times a point is the identity.
    fn is_small_order<'py>(
        &self,
        py: Python<'py>,
        items: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        let count = row_count(items, ITEM, "items")?;
        filled(py, count, |output| bulk::small_order(mode, items, output))
    }

    /// Where a point has order L or 1.
    fn is_torsion_free<'py>(
        &self,
        py: Python<'py>,
        items: Input,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (items, mode) = (&*items, self.mode);
        let count = row_count(items, ITEM, "items")?;
        filled(py, count, |output| bulk::torsion_free(mode, items, output))
    }
}

fn check_rows(count: usize, rows: usize) -> PyResult<()> {
    if !count.is_multiple_of(rows) {
        return Err(PyValueError::new_err(format!(
            "{count} items are not {rows} rows"
        )));
    }
    Ok(())
}

fn power_count(bases: &[u8], exponents: &[u8]) -> PyResult<usize> {
    let (bases, exponents) = (row_count(bases, ITEM, "bases")?, exponent_count(exponents)?);
    if bases != 1 && bases != exponents {
        return Err(PyValueError::new_err(format!(
            "{bases} bases and {exponents} exponents"
        )));
    }
    Ok(exponents)
}

#[pymethods]
impl EdwardsTable {
    #[getter]
    fn nbytes(&self) -> usize {
        self.planes.len() * size_of::<TablePlanes>()
    }

    /// Entries of a window and how many windows there are.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        (TABLE_WINDOW, TABLE_ENTRIES, self.planes.len())
    }

    /// The base to each exponent, times the items of `factors`, one each, if these are given. Constant-time.
    #[pyo3(signature = (exponents, factors=None))]
    fn powers<'py>(
        &self,
        py: Python<'py>,
        exponents: Input,
        factors: Option<Input>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (exponents, factors) = (&*exponents, factors.as_deref());
        let count = row_count(exponents, SCALAR, "exponents")?;
        if let Some(items) = factors
            && row_count(items, ITEM, "factors")? != count
        {
            return Err(PyValueError::new_err(format!(
                "{count} exponents and another number of factors"
            )));
        }
        check_bits(exponents, self.bits)?;
        filled(py, ITEM * count, |output| {
            bulk::table_powers(self.mode, &self.planes, exponents, factors, output)
        })
    }
}

/// SHA-512 of each row of `width` bytes followed by a message of its own: 64 bytes each.
///
/// `messages` are side by side, and `offsets` one number more than there are rows, of 64 bits, little-endian: where
/// each message starts, and where the last one ends.
#[pyfunction]
fn sha512_rows<'py>(
    py: Python<'py>,
    rows: Input,
    width: usize,
    messages: Input,
    offsets: Input,
) -> PyResult<Bound<'py, PyBytes>> {
    let (rows, messages, offsets) = (&*rows, &*messages, &*offsets);
    let count = row_count(rows, width, "rows")?;
    row_count(offsets, 8, "offsets")?;
    let offsets: Vec<usize> = offsets
        .chunks_exact(8)
        .map(|offset| usize::try_from(u64::from_le_bytes(offset.try_into().unwrap())).unwrap_or(usize::MAX))
        .collect();
    if offsets.len() != count + 1 || !offsets.is_sorted() || offsets[count] > messages.len() {
        return Err(PyValueError::new_err("offsets do not cut the messages"));
    }
    filled(py, 64 * count, |output| {
        bulk::sha512_rows(rows, width, messages, &offsets, output)
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sha512_rows, module)?)?;
    module.add_class::<Edwards>()?;
    module.add_class::<EdwardsTable>()
}
