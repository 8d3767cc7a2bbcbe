//! ristretto255 and ed25519 in bulk: eight points at a time.
//!
//!     constants       numbers of the curve
//!     rows            what lies in memory
//!     ifma, portable  the field and its lanes, each with the kernels of lanes/ on top
//!     lanes           points, encodings, powers, products of powers; compiled for each of the two
//!     multiexp        which algorithm serves a product of powers
//!     bulk            whole calls, over threads
//!     class           what Python sees

// The kernels of lanes/ are compiled for each backend; lanes and limbs are indexed, several arrays by one index.
#![allow(
    clippy::duplicate_mod,
    clippy::needless_range_loop,
    clippy::wrong_self_convention
)]

pub mod bulk;
mod class;
pub mod constants;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod multiexp;
mod portable;
pub mod rows;
#[cfg(test)]
mod tests;

pub use class::register;
