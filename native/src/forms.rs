//! Texts of one form: rows that equal a template but for holes, which hold digits.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;

use crate::buffers::{Input, in_pool, row_count, threads};

/// Rows of a chunk.
const CHUNK: usize = 64;
/// Bytes that are not worth another thread.
const ALONE: usize = 1 << 19;
/// What is no digit; no digits in their places reach it.
const NONE: u32 = 1 << 24;

/// What digits are: two of lower-case hex for a byte, or base64url without padding, unused bits zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Hex,
    Base64Url,
}

/// A run of digits.
#[derive(Clone, Debug)]
pub struct Hole {
    pub place: Range<usize>,
    pub kind: Kind,
}

impl Hole {
    /// How many bytes the digits hold; nothing if no bytes have so many digits.
    pub fn size(&self) -> Option<usize> {
        let digits = self.place.len();
        match self.kind {
            Kind::Hex => (digits % 2 == 0).then_some(digits / 2),
            Kind::Base64Url => (digits % 4 != 1).then_some(digits * 3 / 4),
        }
    }

    /// Whether all are digits, in the one way that bytes are written; then `output` has the bytes.
    fn decode(&self, row: &[u8], output: &mut [u8]) -> bool {
        let digits = &row[self.place.clone()];
        match self.kind {
            Kind::Hex => {
                let mut wrong = 0;
                for (pair, byte) in digits.chunks_exact(2).zip(output) {
                    let value = HEX[pair[0] as usize] << 4 | HEX[pair[1] as usize];
                    wrong |= value;
                    *byte = value as u8;
                }
                wrong & !0xff == 0
            }
            Kind::Base64Url => {
                let whole = digits.len() / 4;
                let (fours, rest) = digits.split_at(4 * whole);
                let (bytes, last) = output.split_at_mut(3 * whole);
                let mut wrong = 0;
                for (four, bytes) in fours.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
                    let value = group(four);
                    wrong |= value;
                    bytes.copy_from_slice(&value.to_be_bytes()[1..]);
                }
                if !rest.is_empty() {
                    let mut four = [b'A'; 4];
                    four[..rest.len()].copy_from_slice(rest);
                    let value = group(&four);
                    let bytes = value.to_be_bytes();
                    let (kept, unused) = bytes[1..].split_at(last.len());
                    wrong |= value | if unused.iter().any(|&byte| byte != 0) { NONE } else { 0 };
                    last.copy_from_slice(kept);
                }
                wrong & NONE == 0
            }
        }
    }
}

/// 24 bits of four digits, or `NONE` among them.
fn group(four: &[u8]) -> u32 {
    BASE64[0][four[0] as usize]
        | BASE64[1][four[1] as usize]
        | BASE64[2][four[2] as usize]
        | BASE64[3][four[3] as usize]
}

static HEX: [u32; 256] = {
    let mut table = [NONE; 256];
    let mut i = 0;
    while i < 16 {
        table[b"0123456789abcdef"[i] as usize] = i as u32;
        i += 1;
    }
    table
};

static BASE64: [[u32; 256]; 4] = {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut tables = [[NONE; 256]; 4];
    let mut i = 0;
    while i < 64 {
        let mut place = 0;
        while place < 4 {
            tables[place][digits[i] as usize] = (i as u32) << (18 - 6 * place);
            place += 1;
        }
        i += 1;
    }
    tables
};

/// Where rows of the template's length have the form, and what the holes of each hold, side by side in the order of
/// the holes; of a row that has not the form, anything.
pub fn read(rows: &[u8], template: &[u8], holes: &[Hole], mask: &mut [u8], values: &mut [u8]) {
    let (width, size) = (template.len(), holes.iter().filter_map(Hole::size).sum::<usize>());
    let mut fixed = Vec::new();
    let mut end = 0;
    for hole in holes {
        fixed.push(end..hole.place.start);
        end = hole.place.end;
    }
    fixed.push(end..width);
    let one = |row: &[u8], good: &mut u8, mut values: &mut [u8]| {
        let mut right = fixed.iter().all(|part| row[part.clone()] == template[part.clone()]);
        for hole in holes {
            let (mine, rest) = values.split_at_mut(hole.size().unwrap_or(0));
            right = right && hole.decode(row, mine);
            values = rest;
        }
        *good = right as u8;
    };
    let chunk = |((rows, mask), values): ((&[u8], &mut [u8]), &mut [u8])| {
        for ((row, good), values) in rows.chunks_exact(width).zip(mask).zip(values.chunks_exact_mut(size)) {
            one(row, good, values);
        }
    };
    if threads() == 1 || rows.len() < ALONE {
        rows.chunks(width * CHUNK)
            .zip(mask.chunks_mut(CHUNK))
            .zip(values.chunks_mut(size * CHUNK))
            .for_each(chunk);
    } else {
        in_pool(|| {
            rows.par_chunks(width * CHUNK)
                .zip(mask.par_chunks_mut(CHUNK))
                .zip(values.par_chunks_mut(size * CHUNK))
                .for_each(chunk)
        });
    }
}

/// `holes` are (start, stop, "hex" or "base64url"), ascending. Returns a byte for each row, 1 where it has the form,
/// and what the holes hold, a row of bytes for each row.
#[pyfunction]
fn read_form<'py>(
    py: Python<'py>,
    rows: Input,
    template: Input,
    holes: Vec<(usize, usize, String)>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let (rows, template) = (&*rows, &*template);
    let count = row_count(rows, template.len(), "texts")?;
    let wrong = || PyValueError::new_err("no holes of this template");
    let (mut found, mut end, mut size) = (Vec::new(), 0, 0);
    for (start, stop, kind) in holes {
        let kind = match kind.as_str() {
            "hex" => Kind::Hex,
            "base64url" => Kind::Base64Url,
            _ => return Err(wrong()),
        };
        if start < end || stop < start || stop > template.len() {
            return Err(wrong());
        }
        let hole = Hole {
            place: start..stop,
            kind,
        };
        size += hole.size().ok_or_else(wrong)?;
        end = stop;
        found.push(hole);
    }
    if size == 0 {
        return Err(wrong());
    }
    let mut mask = vec![0; count];
    let values = PyBytes::new_with(py, count * size, |values| {
        py.detach(|| read(rows, template, &found, &mut mask, values));
        Ok(())
    })?;
    Ok((PyBytes::new(py, &mask), values))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_form, module)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_one(row: &[u8]) -> Option<Vec<u8>> {
        let template = b"{\"a\":\"~~~~\",\"b\":\"~~~~~~~\"}";
        let holes = [
            Hole {
                place: 6..10,
                kind: Kind::Hex,
            },
            Hole {
                place: 17..24,
                kind: Kind::Base64Url,
            },
        ];
        let (mut mask, mut values) = ([7], [0; 7]);
        read(row, template, &holes, &mut mask, &mut values);
        assert!(mask[0] < 2);
        (mask[0] == 1).then(|| values.to_vec())
    }

    #[test]
    fn digits_have_one_form() {
        let good = b"{\"a\":\"0af9\",\"b\":\"AQID-_8\"}";
        assert_eq!(read_one(good), Some(vec![0x0a, 0xf9, 1, 2, 3, 0xfb, 0xff]));
        let mut accepted = 0;
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut row = *good;
                row[place] = byte;
                if row == *good {
                    continue;
                }
                let digit = match place {
                    6..10 => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
                    // The last digit of seven has two bits that are not used.
                    17..23 => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
                    23 => b"AEIMQUYcgkosw048".contains(&byte),
                    _ => false,
                };
                assert_eq!(read_one(&row).is_some(), digit, "{place} {byte}");
                accepted += digit as u32;
            }
        }
        assert_eq!(accepted, 4 * 15 + 6 * 63 + 15);
    }
}
