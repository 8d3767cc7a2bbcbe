//! Keccak-f[1600] over eight states at a time, and over one.
//!
//! Reference: FIPS 202. Nothing here depends on values in time: there are no branches and no tables of them.

/// Bytes that SHAKE128 takes in between two permutations.
const RATE: usize = 168;
const WORDS: usize = RATE / 8;

const ROUNDS: [u64; 24] = [
    0x0000000000000001,
    0x0000000000008082,
    0x800000000000808a,
    0x8000000080008000,
    0x000000000000808b,
    0x0000000080000001,
    0x8000000080008081,
    0x8000000000008009,
    0x000000000000008a,
    0x0000000000000088,
    0x0000000080008009,
    0x000000008000000a,
    0x000000008000808b,
    0x800000000000008b,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x000000000000800a,
    0x800000008000000a,
    0x8000000080008081,
    0x8000000000008080,
    0x0000000080000001,
    0x8000000080008008,
];

/// One round on the lanes a[x + 5 y], for words of any kind.
macro_rules! round {
    ($a:ident, $constant:expr, $xor:ident, $xor3:ident, $chi:ident, $rotate:ident) => {{
        // theta: d[x] is the parity of the column before and of the one after, that turned by one.
        let c0 = $xor3($xor3($a[0], $a[5], $a[10]), $a[15], $a[20]);
        let c1 = $xor3($xor3($a[1], $a[6], $a[11]), $a[16], $a[21]);
        let c2 = $xor3($xor3($a[2], $a[7], $a[12]), $a[17], $a[22]);
        let c3 = $xor3($xor3($a[3], $a[8], $a[13]), $a[18], $a[23]);
        let c4 = $xor3($xor3($a[4], $a[9], $a[14]), $a[19], $a[24]);
        let d0 = $xor(c4, $rotate!(c1, 1));
        let d1 = $xor(c0, $rotate!(c2, 1));
        let d2 = $xor(c1, $rotate!(c3, 1));
        let d3 = $xor(c2, $rotate!(c4, 1));
        let d4 = $xor(c3, $rotate!(c0, 1));
        // rho and pi: b[y + 5 (2 x + 3 y)] is a[x + 5 y], turned.
        let b0 = $xor($a[0], d0);
        let b1 = $rotate!($xor($a[6], d1), 44);
        let b2 = $rotate!($xor($a[12], d2), 43);
        let b3 = $rotate!($xor($a[18], d3), 21);
        let b4 = $rotate!($xor($a[24], d4), 14);
        let b5 = $rotate!($xor($a[3], d3), 28);
        let b6 = $rotate!($xor($a[9], d4), 20);
        let b7 = $rotate!($xor($a[10], d0), 3);
        let b8 = $rotate!($xor($a[16], d1), 45);
        let b9 = $rotate!($xor($a[22], d2), 61);
        let b10 = $rotate!($xor($a[1], d1), 1);
        let b11 = $rotate!($xor($a[7], d2), 6);
        let b12 = $rotate!($xor($a[13], d3), 25);
        let b13 = $rotate!($xor($a[19], d4), 8);
        let b14 = $rotate!($xor($a[20], d0), 18);
        let b15 = $rotate!($xor($a[4], d4), 27);
        let b16 = $rotate!($xor($a[5], d0), 36);
        let b17 = $rotate!($xor($a[11], d1), 10);
        let b18 = $rotate!($xor($a[17], d2), 15);
        let b19 = $rotate!($xor($a[23], d3), 56);
        let b20 = $rotate!($xor($a[2], d2), 62);
        let b21 = $rotate!($xor($a[8], d3), 55);
        let b22 = $rotate!($xor($a[14], d4), 39);
        let b23 = $rotate!($xor($a[15], d0), 41);
        let b24 = $rotate!($xor($a[21], d1), 2);
        // chi, and iota on the first lane.
        $a[0] = $xor($chi(b0, b1, b2), $constant);
        $a[1] = $chi(b1, b2, b3);
        $a[2] = $chi(b2, b3, b4);
        $a[3] = $chi(b3, b4, b0);
        $a[4] = $chi(b4, b0, b1);
        $a[5] = $chi(b5, b6, b7);
        $a[6] = $chi(b6, b7, b8);
        $a[7] = $chi(b7, b8, b9);
        $a[8] = $chi(b8, b9, b5);
        $a[9] = $chi(b9, b5, b6);
        $a[10] = $chi(b10, b11, b12);
        $a[11] = $chi(b11, b12, b13);
        $a[12] = $chi(b12, b13, b14);
        $a[13] = $chi(b13, b14, b10);
        $a[14] = $chi(b14, b10, b11);
        $a[15] = $chi(b15, b16, b17);
        $a[16] = $chi(b16, b17, b18);
        $a[17] = $chi(b17, b18, b19);
        $a[18] = $chi(b18, b19, b15);
        $a[19] = $chi(b19, b15, b16);
        $a[20] = $chi(b20, b21, b22);
        $a[21] = $chi(b21, b22, b23);
        $a[22] = $chi(b22, b23, b24);
        $a[23] = $chi(b23, b24, b20);
        $a[24] = $chi(b24, b20, b21);
    }};
}

/// The state of one sponge.
type State = [u64; 25];

fn permute(state: &mut State) {
    let xor = |a: u64, b: u64| a ^ b;
    let xor3 = |a: u64, b: u64, c: u64| a ^ b ^ c;
    let chi = |a: u64, b: u64, c: u64| a ^ (!b & c);
    macro_rules! rotate {
        ($a:expr, $by:literal) => {
            u64::rotate_left($a, $by)
        };
    }
    let mut a = *state;
    for constant in ROUNDS {
        round!(a, constant, xor, xor3, chi, rotate);
    }
    *state = a;
}

fn word(bytes: &[u8], i: usize) -> u64 {
    u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap())
}

fn absorb(state: &mut State, block: &[u8]) {
    for (i, lane) in state[..WORDS].iter_mut().enumerate() {
        *lane ^= word(block, i);
    }
    permute(state);
}

/// SHAKE128 of `prefix` and each row, `length` bytes each; a row of `output` for each of `rows`.
pub fn shake128_rows(prefix: &[u8], rows: &[u8], width: usize, length: usize, output: &mut [u8]) {
    // All start alike: whole blocks of the prefix are absorbed once.
    let whole = prefix.len() / RATE * RATE;
    let mut start = [0; 25];
    for block in prefix[..whole].chunks_exact(RATE) {
        absorb(&mut start, block);
    }
    let rest = &prefix[whole..];
    let size = (rest.len() + width) / RATE * RATE + RATE;
    let mut messages = vec![0; 8 * size];
    for message in messages.chunks_exact_mut(size) {
        message[..rest.len()].copy_from_slice(rest);
        message[rest.len() + width] = 0x1f; // the padding of SHAKE, FIPS 202 section 6.2
        message[size - 1] |= 0x80;
    }
    #[cfg(target_arch = "x86_64")]
    let eight = crate::mode() == "ifma";
    for (rows, output) in rows.chunks(8 * width).zip(output.chunks_mut(8 * length)) {
        for (row, message) in rows.chunks_exact(width).zip(messages.chunks_exact_mut(size)) {
            message[rest.len()..rest.len() + width].copy_from_slice(row);
        }
        #[cfg(target_arch = "x86_64")]
        if eight {
            // SAFETY: the mode is "ifma" only where AVX-512 F was found.
            unsafe { eight::sponge(&start, &messages, size, length, output) };
            continue;
        }
        for (message, output) in messages.chunks_exact(size).zip(output.chunks_exact_mut(length)) {
            let mut state = start;
            for block in message.chunks_exact(RATE) {
                absorb(&mut state, block);
            }
            squeeze(state, output);
        }
    }
}

fn squeeze(mut state: State, output: &mut [u8]) {
    for (i, output) in output.chunks_mut(RATE).enumerate() {
        if i > 0 {
            permute(&mut state);
        }
        store(&state, output);
    }
}

/// The first bytes of a state.
#[inline(always)]
fn store(state: &State, output: &mut [u8]) {
    let (words, rest) = output.as_chunks_mut::<8>();
    for (lane, word) in state.iter().zip(words.iter_mut()) {
        *word = lane.to_le_bytes();
    }
    rest.copy_from_slice(&state[words.len()].to_le_bytes()[..rest.len()]);
}

#[cfg(target_arch = "x86_64")]
mod eight {
    use std::arch::x86_64::*;

    use super::{RATE, ROUNDS, State, WORDS, store, word};

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi64::<0x96>(a, b, c)
    }

    /// a ^ (!b & c)
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn chi(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi64::<0xd2>(a, b, c)
    }

    macro_rules! rotate {
        ($a:expr, $by:literal) => {
            _mm512_rol_epi64::<$by>($a)
        };
    }

    #[target_feature(enable = "avx512f")]
    fn permute(state: &mut [__m512i; 25]) {
        let mut a = *state;
        for constant in ROUNDS {
            let constant = _mm512_set1_epi64(constant as i64);
            round!(a, constant, xor, xor3, chi, rotate);
        }
        *state = a;
    }

    /// Eight messages of `size` padded bytes, each absorbed from `start`; as many rows of output as there are.
    #[target_feature(enable = "avx512f")]
    pub fn sponge(start: &State, messages: &[u8], size: usize, length: usize, output: &mut [u8]) {
        let mut state = start.map(|lane| _mm512_set1_epi64(lane as i64));
        for block in (0..size).step_by(RATE) {
            for (i, lane) in state[..WORDS].iter_mut().enumerate() {
                let at = |message: usize| word(&messages[message * size + block..], i) as i64;
                let words = _mm512_set_epi64(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0));
                *lane = xor(*lane, words);
            }
            permute(&mut state);
        }
        for block in (0..length).step_by(RATE) {
            if block > 0 {
                permute(&mut state);
            }
            let mut lanes = [[0u64; 8]; 25];
            for (lane, words) in state.iter().zip(&mut lanes) {
                // SAFETY: eight words are 64 bytes.
                unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *lane) };
            }
            let end = length.min(block + RATE);
            for (i, output) in output.chunks_exact_mut(length).enumerate() {
                store(&lanes.map(|words| words[i]), &mut output[block..end]);
            }
        }
    }
}
