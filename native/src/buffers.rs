//! Buffers in and out, and the cutting of a call over threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, RwLock};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;

static THREADS: AtomicUsize = AtomicUsize::new(0);
static POOL: RwLock<Option<rayon::ThreadPool>> = RwLock::new(None);

/// How many threads serve; 0 (as at first) means one for each processor.
///
/// With 1 the pool is left alone: in a forked process its threads are gone, and its lock may be taken for ever.
pub fn set_threads(count: usize) {
    THREADS.store(count, Ordering::Relaxed);
    if count != 1 {
        *POOL.write().unwrap() = None;
    }
}

pub fn threads() -> usize {
    // Asking the operating system takes longer than most calls.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    match THREADS.load(Ordering::Relaxed) {
        0 => *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get())),
        n => n,
    }
}

/// Runs `work` inside the pool; with one thread, here.
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if threads() == 1 {
        return work();
    }
    {
        let pool = POOL.read().unwrap();
        if let Some(pool) = pool.as_ref() {
            return pool.install(work);
        }
    }
    let made = rayon::ThreadPoolBuilder::new().num_threads(threads()).build();
    match made {
        Ok(made) => POOL.write().unwrap().get_or_insert(made),
        Err(_) => return work(),
    };
    in_pool(work)
}

/// Any contiguous bytes-like object: `bytes` as they are, others copied, since somebody may write to them meanwhile.
pub enum Input<'py> {
    Bytes(Bound<'py, PyBytes>),
    Copy(Vec<u8>),
}

impl std::ops::Deref for Input<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Input::Bytes(bytes) => bytes.as_bytes(),
            Input::Copy(bytes) => bytes,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Input<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Input::Bytes(bytes.to_owned()));
        }
        Ok(Input::Copy(PyBuffer::<u8>::get(&object)?.to_vec(object.py())?))
    }
}

/// Rows of an output, each chunk of `rows` of them filled by `fill(first_row, chunk)`, perhaps at the same time.
pub fn fill_rows(output: &mut [u8], row: usize, rows: usize, fill: impl Fn(usize, &mut [u8]) + Sync + Send) {
    if row == 0 || output.is_empty() {
        return;
    }
    if threads() == 1 || output.len() <= row * rows {
        for (i, chunk) in output.chunks_mut(row * rows).enumerate() {
            fill(i * rows, chunk);
        }
        return;
    }
    in_pool(|| {
        output
            .par_chunks_mut(row * rows)
            .enumerate()
            .for_each(|(i, chunk)| fill(i * rows, chunk));
    });
}

/// The number of rows of `size` bytes, or a ValueError.
pub fn row_count(data: &[u8], size: usize, what: &str) -> PyResult<usize> {
    if size == 0 || data.len() % size != 0 {
        return Err(PyValueError::new_err(format!(
            "{} bytes are no rows of {size}: {what}",
            data.len()
        )));
    }
    Ok(data.len() / size)
}

/// New bytes of `size`, filled in place by `fill` without Python's lock.
pub fn filled<'py>(
    py: Python<'py>,
    size: usize,
    fill: impl FnOnce(&mut [u8]) + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, size, |output| {
        // A panic would leave the bytes half written and is turned into an exception by PyO3.
        py.detach(|| fill(output));
        Ok(())
    })
}
