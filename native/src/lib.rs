//! Group arithmetic in bulk for `evote`, as its backend `native`.
//!
//! Arrays are rows of bytes in one buffer; every call is one pass over them, without Python's lock,
//! cut over threads. Nothing here knows a protocol.

// Matters of taste: `x % n == 0` and indices say what the papers say, methods of the Python classes
// are named after what they read, and large tables do not belong on the stack.
#![allow(
    clippy::manual_checked_ops,
    clippy::manual_is_multiple_of,
    clippy::needless_range_loop,
    clippy::precedence,
    clippy::useless_vec,
    clippy::wrong_self_convention
)]

pub mod buffers;
pub mod edwards;
pub mod forms;
pub mod hashes;
pub mod modp;
pub mod p256;
pub mod scalars;

use pyo3::prelude::*;

/// Which instructions serve: "ifma" or "portable"; `EVOTE_NATIVE=portable` forces the latter.
pub fn mode() -> &'static str {
    use std::sync::OnceLock;
    static MODE: OnceLock<&'static str> = OnceLock::new();
    MODE.get_or_init(|| {
        let forced = std::env::var("EVOTE_NATIVE").is_ok_and(|value| value == "portable");
        if !forced && has_ifma() { "ifma" } else { "portable" }
    })
}

#[cfg(target_arch = "x86_64")]
fn has_ifma() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_ifma() -> bool {
    false
}

/// How many threads serve the calls from here on.
#[pyfunction]
fn set_threads(count: usize) {
    buffers::set_threads(count);
}

#[pymodule]
fn evote_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("MODE", mode())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(set_threads, module)?)?;
    forms::register(module)?;
    hashes::register(module)?;
    scalars::register(module)?;
    modp::register(module)?;
    edwards::register(module)?;
    p256::register(module)?;
    Ok(())
}
