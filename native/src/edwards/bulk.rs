//! Whole calls on slices: cut into chunks over threads, each chunk served by the kernels of the mode.

use rayon::prelude::*;
use sha2::{Digest, Sha512};

use super::constants::EIGHTH;
use super::multiexp;
use super::rows::{self, ITEM, SCALAR, TablePlanes, identity_item};
use crate::buffers::{in_pool, threads};

/// Which kernels serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    #[cfg(target_arch = "x86_64")]
    Ifma(Found),
    Portable,
}

/// That this processor has AVX-512 IFMA: nobody else makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found(());

impl Mode {
    pub fn best() -> Mode {
        #[cfg(target_arch = "x86_64")]
        if crate::mode() == "ifma" {
            return Mode::Ifma(Found(()));
        }
        Mode::Portable
    }
}

/// Calls a kernel of the mode.
macro_rules! kernel {
    ($mode:expr, $module:ident :: $name:ident ( $($argument:expr),* $(,)? )) => {
        match $mode {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Found` is made only where the features were found.
            $crate::edwards::bulk::Mode::Ifma(_) => unsafe {
                $crate::edwards::ifma::$module::$name($($argument),*)
            },
            $crate::edwards::bulk::Mode::Portable => {
                $crate::edwards::portable::$module::$name($($argument),*)
            }
        }
    };
}
pub(super) use kernel;

/// The groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ristretto255,
    Ed25519,
}

/// Rows of a chunk, for what takes a microsecond each or so.
const CHUNK: usize = 512;
/// Rows of a chunk that shares an inversion.
const INVERSION_CHUNK: usize = 2048;

/// Chunks of two outputs of `a` and `b` bytes a row, by `work(first row, chunk of each)`; over threads
/// if there are several.
fn in_chunks(
    rows: usize,
    outputs: (&mut [u8], usize),
    more: (&mut [u8], usize),
    work: impl Fn(usize, &mut [u8], &mut [u8]) + Sync + Send,
) {
    let ((first, a), (second, b)) = (outputs, more);
    let count = first.len() / a;
    if threads() == 1 || count <= rows {
        for (i, (x, y)) in first
            .chunks_mut(a * rows)
            .zip(second.chunks_mut(b * rows))
            .enumerate()
        {
            work(i * rows, x, y);
        }
        return;
    }
    in_pool(|| {
        let chunks = first
            .par_chunks_mut(a * rows)
            .zip(second.par_chunks_mut(b * rows));
        chunks.enumerate().for_each(|(i, (x, y))| work(i * rows, x, y));
    });
}

/// The same with one output.
fn in_rows(rows: usize, output: &mut [u8], size: usize, work: impl Fn(usize, &mut [u8]) + Sync + Send) {
    crate::buffers::fill_rows(output, size, rows, work);
}

/// The rows of an input that a chunk of an output belongs to; all of a single row.
fn part(data: &[u8], size: usize, first: usize, rows: usize) -> &[u8] {
    if data.len() == size && rows > 0 {
        data
    } else {
        &data[size * first..size * (first + rows)]
    }
}

pub fn decode(mode: Mode, kind: Kind, data: &[u8], items: &mut [u8], members: &mut [u8]) {
    in_chunks(CHUNK, (items, ITEM), (members, 1), |first, items, members| {
        let data = part(data, 32, first, members.len());
        match kind {
            Kind::Ristretto255 => kernel!(mode, encodings::decode_ristretto(data, items, members)),
            Kind::Ed25519 => kernel!(mode, encodings::decode_ed25519(data, items, members, false)),
        }
    });
}

/// Points of the whole curve edwards25519.
pub fn decode_points(mode: Mode, data: &[u8], items: &mut [u8], members: &mut [u8]) {
    in_chunks(CHUNK, (items, ITEM), (members, 1), |first, items, members| {
        let data = part(data, 32, first, members.len());
        kernel!(mode, encodings::decode_ed25519(data, items, members, true));
    });
}

pub fn torsion_free(mode: Mode, items: &[u8], output: &mut [u8]) {
    in_rows(CHUNK, output, 1, |first, output| {
        kernel!(
            mode,
            encodings::torsion_free(part(items, ITEM, first, output.len()), output)
        );
    });
}

pub fn small_order(mode: Mode, items: &[u8], output: &mut [u8]) {
    in_rows(CHUNK, output, 1, |first, output| {
        kernel!(
            mode,
            encodings::small_order(part(items, ITEM, first, output.len()), output)
        );
    });
}

pub fn encode(mode: Mode, kind: Kind, items: &[u8], output: &mut [u8]) {
    match kind {
        Kind::Ristretto255 => in_rows(CHUNK, output, 32, |first, output| {
            let items = part(items, ITEM, first, output.len() / 32);
            kernel!(mode, encodings::encode_ristretto(items, output));
        }),
        Kind::Ed25519 => in_rows(INVERSION_CHUNK, output, 32, |first, output| {
            let items = part(items, ITEM, first, output.len() / 32);
            kernel!(mode, encodings::encode_ed25519(items, output));
        }),
    }
}

pub fn encode_squares(mode: Mode, items: &[u8], output: &mut [u8]) {
    in_rows(INVERSION_CHUNK, output, 32, |first, output| {
        kernel!(
            mode,
            encodings::encode_squares(part(items, ITEM, first, output.len() / 32), output)
        );
    });
}

pub fn log_keys(mode: Mode, items: &[u8], output: &mut [u8]) {
    in_rows(INVERSION_CHUNK, output, 8, |first, output| {
        kernel!(
            mode,
            encodings::log_keys(part(items, ITEM, first, output.len() / 8), output)
        );
    });
}

pub fn equal(mode: Mode, kind: Kind, a: &[u8], b: &[u8], output: &mut [u8]) {
    in_rows(INVERSION_CHUNK, output, 1, |first, output| {
        let (a, b) = (
            part(a, ITEM, first, output.len()),
            part(b, ITEM, first, output.len()),
        );
        kernel!(mode, encodings::equal(a, b, output, kind == Kind::Ristretto255));
    });
}

pub fn multiply(mode: Mode, a: &[u8], b: &[u8], output: &mut [u8]) {
    in_rows(INVERSION_CHUNK, output, ITEM, |first, output| {
        let rows = output.len() / ITEM;
        kernel!(
            mode,
            points::multiply(part(a, ITEM, first, rows), part(b, ITEM, first, rows), output)
        );
    });
}

pub fn invert(mode: Mode, items: &[u8], output: &mut [u8]) {
    in_rows(INVERSION_CHUNK, output, ITEM, |first, output| {
        kernel!(
            mode,
            points::invert(part(items, ITEM, first, output.len() / ITEM), output)
        );
    });
}

/// As many products as the output has rows.
pub fn products(mode: Mode, items: &[u8], output: &mut [u8]) {
    let rows = output.len() / ITEM;
    if rows == 0 {
        return;
    }
    let length = items.len() / ITEM / rows;
    if rows < 4 && threads() > 1 && length > 2 * INVERSION_CHUNK {
        for (row, output) in output.chunks_mut(ITEM).enumerate() {
            let items = part(items, ITEM * length, row, 1);
            let mut parts = vec![0; ITEM * length.div_ceil(INVERSION_CHUNK)];
            in_rows(1, &mut parts, ITEM, |part, output| {
                let end = items.len().min(ITEM * INVERSION_CHUNK * (part + 1));
                kernel!(
                    mode,
                    points::products(&items[ITEM * INVERSION_CHUNK * part..end], output)
                );
            });
            kernel!(mode, points::products(&parts, output));
        }
        return;
    }
    let chunk = (INVERSION_CHUNK / length.max(1)).max(1).next_multiple_of(8);
    in_rows(chunk, output, ITEM, |first, output| {
        let rows = output.len() / ITEM;
        kernel!(
            mode,
            points::products(
                &items[ITEM * length * first..ITEM * length * (first + rows)],
                output
            )
        );
    });
}

pub fn running_products(mode: Mode, items: &[u8], output: &mut [u8]) {
    const STRETCH: usize = 1 << 14;
    let mut before = identity_item();
    for (items, output) in items
        .chunks(ITEM * STRETCH)
        .zip(output.chunks_mut(ITEM * STRETCH))
    {
        kernel!(mode, points::running_products(&before, items, output));
        before.copy_from_slice(&output[output.len() - ITEM..]);
    }
}

pub fn powers_constant_time(mode: Mode, bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    in_rows(64, output, ITEM, |first, output| {
        let rows = output.len() / ITEM;
        let (bases, exponents) = (
            part(bases, ITEM, first, rows),
            part(exponents, SCALAR, first, rows),
        );
        kernel!(mode, powers::powers_constant_time(bases, exponents, output));
    });
}

/// Time depends on the exponents.
pub fn powers(mode: Mode, bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    // Rows of about equal length side by side.
    let lengths: Vec<usize> = (0..count)
        .map(|row| rows::bit_length(&rows::shortened(&rows::words(exponents, row)).0).div_ceil(4))
        .collect();
    let mut order: Vec<u32> = (0..count as u32).collect();
    let sorted = lengths.is_sorted();
    if !sorted {
        order.sort_by_key(|&row| lengths[row as usize]);
    }
    let fill = |output: &mut [u8]| {
        in_rows(64, output, ITEM, |first, output| {
            let rows = &order[first..first + output.len() / ITEM];
            kernel!(mode, powers::powers(bases, exponents, rows, output));
        });
    };
    if sorted {
        fill(output);
        return;
    }
    let mut results = vec![0; output.len()];
    fill(&mut results);
    for (&row, result) in order.iter().zip(results.chunks_exact(ITEM)) {
        output[ITEM * row as usize..][..ITEM].copy_from_slice(result);
    }
}

pub fn build_table(mode: Mode, base: &[u8], bits: usize) -> Vec<TablePlanes> {
    kernel!(mode, powers::build_table(base, bits))
}

pub fn table_powers(
    mode: Mode,
    table: &[TablePlanes],
    exponents: &[u8],
    factors: Option<&[u8]>,
    output: &mut [u8],
) {
    in_rows(256, output, ITEM, |first, output| {
        let exponents = &exponents[SCALAR * first..][..output.len() / ITEM * SCALAR];
        let factors = factors.map(|items| &items[ITEM * first..][..output.len()]);
        kernel!(mode, powers::table_powers(table, exponents, factors, output));
    });
}

pub fn multiexp(mode: Mode, bases: &[u8], exponents: &[u8], output: &mut [u8]) {
    multiexp::multiexp(mode, bases, exponents, output);
}

pub fn from_uniform(mode: Mode, kind: Kind, data: &[u8], output: &mut [u8]) {
    let doubled = if kind == Kind::Ed25519 { 3 } else { 0 };
    in_rows(CHUNK, output, ITEM, |first, output| {
        let data = &data[64 * first..][..output.len() / ITEM * 64];
        kernel!(mode, encodings::from_uniform(data, output, doubled));
    });
}

pub fn embed(mode: Mode, kind: Kind, blocks: &[u8], items: &mut [u8], found: &mut [u8]) {
    in_chunks(16, (items, ITEM), (found, 1), |first, items, found| {
        let blocks = part(blocks, 30, first, found.len());
        kernel!(mode, encodings::embed(blocks, items, found));
        if kind == Kind::Ed25519 {
            // The point of order L among the four: 8 (1/8 mod L) is 1 for those and 0 for torsion.
            let points = items.to_vec();
            kernel!(mode, powers::powers_of_all(&points, &EIGHTH, 3, items));
        }
    });
}

pub fn extract(mode: Mode, items: &[u8], blocks: &mut [u8], found: &mut [u8]) {
    in_chunks(CHUNK, (blocks, 30), (found, 1), |first, blocks, found| {
        kernel!(
            mode,
            encodings::extract(part(items, ITEM, first, found.len()), blocks, found)
        );
    });
}

/// SHA-512 of each row and its message, from one offset to the next.
pub fn sha512_rows(rows: &[u8], width: usize, messages: &[u8], offsets: &[usize], output: &mut [u8]) {
    in_rows(CHUNK, output, 64, |first, output| {
        for (i, digest) in output.chunks_exact_mut(64).enumerate() {
            let row = first + i;
            let mut hash = Sha512::new();
            hash.update(&rows[width * row..][..width]);
            hash.update(&messages[offsets[row]..offsets[row + 1]]);
            digest.copy_from_slice(&hash.finalize());
        }
    });
}
