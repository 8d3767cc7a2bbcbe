//! Z_p^*: the subgroup of order q modulo a prime p of 2048, 3072 or 4096 bits.
//!
//! An item is a row: Montgomery form, reduced below p, little-endian limbs of eight bytes (52 bits of them used where
//! AVX-512 IFMA serves). Equal items are equal bytes. What an item is in numbers is only for `from_numbers`, `decode`,
//! `to_numbers` and `encode` to say.

mod engine;
mod group;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod inverse;
#[cfg(target_arch = "x86_64")]
mod kernel;
mod membership;
mod multiexp;
mod number;
mod portable;
mod python;
#[cfg(target_arch = "x86_64")]
mod symbols;
mod table;
#[cfg(test)]
mod tests;

pub use engine::Engine;
pub use group::{Group, Parameters};
#[cfg(target_arch = "x86_64")]
pub use ifma::Ifma;
pub use portable::Portable;
pub use python::register;
pub use table::Table;
