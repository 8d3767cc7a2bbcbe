//! Plain numbers: little-endian words, for parameters and for symbols. Nothing here is constant-time.

/// Little-endian words of little-endian bytes, as many as hold them.
pub fn from_bytes(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect()
}

/// The other way; words beyond `bytes` are zero.
pub fn to_bytes(words: &[u64], bytes: &mut [u8]) {
    bytes.fill(0);
    for (chunk, word) in bytes.chunks_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
}

pub fn bit_length(x: &[u64]) -> usize {
    let top = x.iter().rposition(|&word| word != 0);
    top.map_or(0, |i| 64 * i + 64 - x[i].leading_zeros() as usize)
}

/// The bits of a little-endian number in bytes.
pub fn bit_length_of_bytes(x: &[u8]) -> usize {
    let top = x.iter().rposition(|&byte| byte != 0);
    top.map_or(0, |i| 8 * i + 8 - x[i].leading_zeros() as usize)
}

pub fn is_below(x: &[u64], y: &[u64]) -> bool {
    x.iter().rev().lt(y.iter().rev())
}

/// x -= y; whether that borrows.
pub fn subtract(x: &mut [u64], y: &[u64]) -> bool {
    let mut borrow = false;
    for (a, &b) in x.iter_mut().zip(y) {
        let (d, first) = a.overflowing_sub(b);
        let (d, second) = d.overflowing_sub(borrow as u64);
        (*a, borrow) = (d, first | second);
    }
    borrow
}

/// x = 2 x + bit; whether a bit is lost at the top.
fn double(x: &mut [u64], bit: bool) -> bool {
    let mut carry = bit as u64;
    for word in x.iter_mut() {
        (*word, carry) = (*word << 1 | carry, *word >> 63);
    }
    carry != 0
}

/// 2^shift x modulo p, of x below p.
pub fn shifted(x: &[u64], shift: usize, p: &[u64]) -> Vec<u64> {
    let mut x = x.to_vec();
    for _ in 0..shift {
        if double(&mut x, false) || !is_below(&x, p) {
            subtract(&mut x, p);
        }
    }
    x
}

/// Quotient and remainder, of numbers of as many words.
pub fn divide(x: &[u64], y: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let mut quotient = vec![0; x.len()];
    let mut rest = vec![0; x.len()];
    for i in (0..64 * x.len()).rev() {
        let lost = double(&mut rest, x[i / 64] >> (i % 64) & 1 == 1);
        let fits = lost || !is_below(&rest, y);
        if fits {
            subtract(&mut rest, y);
        }
        quotient[i / 64] |= (fits as u64) << (i % 64);
    }
    (quotient, rest)
}

/// -1/x modulo 2^64, of odd x.
pub fn minus_inverse(x: u64) -> u64 {
    // Newton: each step doubles the right bits, of which x itself has three.
    let y = (0..5).fold(x, |y, _| y.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(y))));
    y.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_and_shifts() {
        let (q, r) = divide(&[5, 7], &[3, 0]);
        assert_eq!(q, [0x5555555555555557, 2]); // (7 2^64 + 5) / 3 = 2 2^64 + (2^64 + 5) / 3
        assert_eq!(r, [0, 0]);
        let p = [u64::MAX - 58, u64::MAX];
        assert_eq!(shifted(&[1, 0], 128, &p), [59, 0]);
        for x in [1, 3, 5, 59, u64::MAX] {
            assert_eq!(x.wrapping_mul(minus_inverse(x)), u64::MAX);
        }
    }
}
