//! Hashes of many rows at a time: each of the same bytes, and then of a row of its own.

mod keccak;
#[cfg(test)]
mod tests;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sha2::{Digest, Sha256};

use crate::buffers::{Input, fill_rows, filled, row_count};

/// Rows of a chunk.
const CHUNK: usize = 256;

/// SHA-256 of `prefix` and each row, 32 bytes each.
pub fn sha256_rows(prefix: &[u8], rows: &[u8], width: usize, output: &mut [u8]) {
    let start = Sha256::new_with_prefix(prefix);
    fill_rows(output, 32, CHUNK, |first, output| {
        for (i, digest) in output.chunks_exact_mut(32).enumerate() {
            let mut hash = start.clone();
            hash.update(&rows[width * (first + i)..][..width]);
            digest.copy_from_slice(&hash.finalize());
        }
    });
}

/// SHAKE128 of `prefix` and each row, `length` bytes each.
pub fn shake128_rows(prefix: &[u8], rows: &[u8], width: usize, length: usize, output: &mut [u8]) {
    fill_rows(output, length, CHUNK, |first, output| {
        let rows = &rows[width * first..][..output.len() / length * width];
        keccak::shake128_rows(prefix, rows, width, length, output);
    });
}

#[pyfunction]
#[pyo3(name = "sha256_rows")]
fn sha256_rows_of<'py>(py: Python<'py>, prefix: Input, rows: Input, width: usize) -> PyResult<Bound<'py, PyBytes>> {
    let (prefix, rows) = (&*prefix, &*rows);
    let count = row_count(rows, width, "rows")?;
    filled(py, 32 * count, |output| sha256_rows(prefix, rows, width, output))
}

#[pyfunction]
#[pyo3(name = "shake128_rows")]
fn shake128_rows_of<'py>(
    py: Python<'py>,
    prefix: Input,
    rows: Input,
    width: usize,
    length: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let (prefix, rows) = (&*prefix, &*rows);
    let count = row_count(rows, width, "rows")?;
    let size = count.checked_mul(length).filter(|&size| size <= isize::MAX as usize);
    let Some(size) = size else {
        return Err(PyValueError::new_err("more bytes than there can be"));
    };
    filled(py, size, |output| {
        if length > 0 {
            shake128_rows(prefix, rows, width, length, output)
        }
    })
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sha256_rows_of, module)?)?;
    module.add_function(wrap_pyfunction!(shake128_rows_of, module)?)
}
