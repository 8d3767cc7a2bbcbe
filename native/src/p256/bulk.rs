//! Loops over items, generic in the field: eight lanes or one.
//!
//! An item is a homogeneous point, x, y and z, each four words, little-endian, below p, in Montgomery form with
//! factor 2^260, whatever the field. Any bytes are safe: what is no point of the curve gives no point.

use rayon::prelude::*;

use super::field::{Field, Words};
use super::formulas::{Affine, ITEM, Kernels, Point, lanes};
use crate::buffers::{fill_rows, in_pool, threads};

pub trait Lanes: Field + Kernels<Self> {}
impl<F: Field + Kernels<F>> Lanes for F {}

type At = [usize; 8];
pub type Scalar = [u64; 4];

/// The order, and half of it rounded down.
pub const Q: Scalar = [
    0xf3b9_cac2_fc63_2551,
    0xbce6_faad_a717_9e84,
    u64::MAX,
    0xffff_ffff_0000_0000,
];
const HALF_Q: Scalar = {
    let mut half = [0; 4];
    let mut i = 0;
    while i < 4 {
        half[i] = Q[i] >> 1 | if i < 3 { Q[i + 1] << 63 } else { 0 };
        i += 1;
    }
    half
};
const P: Scalar = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];

/// Items of a thread's share of cheap work, and of powers.
const SHARE: usize = 1024;
pub(super) const SHARE_OF_POWERS: usize = 64;
/// Points that share an inversion.
const AT_ONCE: usize = 2048;

fn subtract(a: Scalar, b: Scalar) -> (Scalar, u64) {
    let (mut out, mut borrow) = ([0; 4], 0);
    for i in 0..4 {
        let t = (a[i] as u128)
            .wrapping_sub(b[i] as u128)
            .wrapping_sub(borrow as u128);
        (out[i], borrow) = (t as u64, (t >> 127) as u64);
    }
    (out, borrow)
}

pub(super) fn words(bytes: &[u8]) -> Scalar {
    [0, 1, 2, 3].map(|i| u64::from_le_bytes(bytes[8 * i..][..8].try_into().unwrap()))
}

fn big_endian(bytes: &[u8]) -> Scalar {
    [0, 1, 2, 3].map(|i| u64::from_be_bytes(bytes[24 - 8 * i..][..8].try_into().unwrap()))
}

pub(super) fn bit_length(x: &Scalar) -> usize {
    (0..4)
        .rev()
        .find(|&i| x[i] != 0)
        .map_or(0, |i| 64 * i + 64 - x[i].leading_zeros() as usize)
}

/// e or q - e, whichever is smaller, and all ones for the latter; constant time.
pub(super) fn signed(e: Scalar) -> (Scalar, u64) {
    let (other, _) = subtract(Q, e);
    let negative = std::hint::black_box(subtract(HALF_Q, e).1.wrapping_neg());
    (
        [0, 1, 2, 3].map(|i| e[i] ^ (negative & (e[i] ^ other[i]))),
        negative,
    )
}

/// `width` <= 16 bits from a place on; constant time.
pub(super) fn bits_at(x: &[u64], place: usize, width: usize) -> u64 {
    let (word, shift) = (place / 64, place % 64);
    let low = x.get(word).map_or(0, |w| w >> shift);
    let high = x.get(word + 1).map_or(0, |w| w << 1 << (63 - shift));
    (low | high) & ((1 << width) - 1)
}

/// e + sum of 2^(width - 1) 2^(width i) for i < count: digits of this, less 2^(width - 1), are signed digits of e.
pub(super) fn offset(e: &Scalar, width: usize, count: usize) -> [u64; 6] {
    let mut x = [0u64; 6];
    for i in 0..count {
        let place = width * i + width - 1;
        x[place / 64] |= 1 << (place % 64);
    }
    let mut carry = 0u128;
    for (x, e) in x.iter_mut().zip(e.iter().chain(&[0, 0])) {
        carry += *x as u128 + *e as u128;
        *x = carry as u64;
        carry >>= 64;
    }
    x
}

/// Consecutive positions from `first`, the last one again where there are no more.
pub(super) fn positions(first: usize, count: usize) -> At {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|i| first + i.min(count - 1))
}

/// The same, or the only one there is.
pub(super) fn of(data: &[u8], row: usize, at: &At) -> At {
    if data.len() == row { [0; 8] } else { *at }
}

/// Blocks of lanes: `work(first, count, rows)` fills `count` rows of the output.
pub(super) fn each_block<F: Lanes>(
    out: &mut [u8],
    row: usize,
    share: usize,
    work: impl Fn(usize, usize, &mut [u8]) + Sync + Send,
) {
    each_of(out, row, share, F::LANES, work);
}

/// Blocks of `size` rows.
fn each_of(
    out: &mut [u8],
    row: usize,
    share: usize,
    size: usize,
    work: impl Fn(usize, usize, &mut [u8]) + Sync + Send,
) {
    fill_rows(out, row, share, |first, chunk| {
        for (k, rows) in chunk.chunks_mut(row * size).enumerate() {
            work(first + k * size, rows.len() / row, rows);
        }
    });
}

/// Two blocks' lanes to rows, as many as there are.
fn store_two<F: Lanes>(points: &[Point<F>; 2], rows: &mut [u8]) {
    for (point, rows) in points.iter().zip(rows.chunks_mut(F::LANES * ITEM)) {
        F::store(point, rows);
    }
}

/// Two blocks, for rows and a byte for each.
fn each_two_masked<F: Lanes>(
    out: &mut [u8],
    row: usize,
    masks: &mut [u8],
    share: usize,
    work: impl Fn(usize, usize, &mut [u8], &mut [u8]) + Sync + Send,
) {
    let one = |first: usize, (out, masks): (&mut [u8], &mut [u8])| {
        let size = 2 * F::LANES;
        let blocks = out.chunks_mut(row * size).zip(masks.chunks_mut(size));
        for (k, (rows, masks)) in blocks.enumerate() {
            work(first + k * size, masks.len(), rows, masks);
        }
    };
    if threads() == 1 || masks.len() <= share {
        return one(0, (out, masks));
    }
    in_pool(|| {
        let chunks = out.par_chunks_mut(row * share).zip(masks.par_chunks_mut(share));
        chunks.enumerate().for_each(|(i, pair)| one(i * share, pair));
    });
}

fn spread(bits: u8, masks: &mut [u8]) {
    for (i, mask) in masks.iter_mut().enumerate() {
        *mask = bits >> i & 1;
    }
}

fn spread_two<F: Lanes>(bits: [u8; 2], masks: &mut [u8]) {
    for (bits, masks) in bits.into_iter().zip(masks.chunks_mut(F::LANES)) {
        spread(bits, masks);
    }
}

pub fn identity<F: Lanes>() -> Vec<u8> {
    let mut item = vec![0; ITEM];
    F::store(&Point::IDENTITY, &mut item);
    item
}

pub fn generator<F: Lanes>() -> Vec<u8> {
    let x = [
        0xf4a1_3945_d898_c296,
        0x7703_7d81_2deb_33a0,
        0xf8bc_e6e5_63a4_40f2,
        0x6b17_d1f2_e12c_4247,
    ];
    let mut numbers = Words::ZERO;
    (0..8).for_each(|lane| numbers.set(lane, x));
    let mut points = [Point::IDENTITY; 2];
    F::lift(&[numbers; 2], [lanes(F::LANES); 2], &mut points);
    let mut item = vec![0; ITEM];
    F::store(&points[0], &mut item);
    item
}

// -- sums ---------------------------------------------------------------------------------------------

pub fn multiply<F: Lanes>(a: &[u8], b: &[u8], out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE, |first, count, rows| {
        let at = positions(first, count);
        let (mut x, mut y) = (Point::IDENTITY, Point::IDENTITY);
        F::load(a, &of(a, ITEM, &at), &mut x);
        F::load(b, &of(b, ITEM, &at), &mut y);
        F::add(&mut x, &y);
        F::store(&x, rows);
    });
}

pub fn invert<F: Lanes>(items: &[u8], out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE, |first, count, rows| {
        let mut x = Point::IDENTITY;
        F::load(items, &positions(first, count), &mut x);
        F::negate(&mut x, lanes(8));
        F::store(&x, rows);
    });
}

pub fn equal<F: Lanes>(a: &[u8], b: &[u8], out: &mut [u8]) {
    each_block::<F>(out, 1, SHARE, |first, count, masks| {
        let at = positions(first, count);
        let (mut x, mut y) = (Point::IDENTITY, Point::IDENTITY);
        F::load(a, &of(a, ITEM, &at), &mut x);
        F::load(b, &of(b, ITEM, &at), &mut y);
        spread(F::equal(&x, &y), masks);
    });
}

/// All lanes' sum, to one row.
fn close<F: Lanes>(total: &mut Point<F>, out: &mut [u8]) {
    let mut rows = [0; 8 * ITEM];
    let mut step = F::LANES / 2;
    while step > 0 {
        F::store(total, &mut rows);
        let mut other = Point::IDENTITY;
        F::load(
            &rows,
            &[0, 1, 2, 3, 4, 5, 6, 7].map(|i| (i + step) % F::LANES),
            &mut other,
        );
        F::add(total, &other);
        step /= 2;
    }
    F::store(total, out);
}

/// The sum of all items, eight at a time.
fn sum_of<F: Lanes>(items: &[u8], out: &mut [u8]) {
    let n = items.len() / ITEM;
    let (mut total, mut next) = (Point::IDENTITY, Point::IDENTITY);
    for first in (0..n).step_by(F::LANES) {
        let count = (n - first).min(F::LANES);
        F::load(items, &positions(first, count), &mut next);
        F::add_masked(&mut total, &next, lanes(count));
    }
    close(&mut total, out);
}

/// The sum of each of `rows` rows.
pub fn products<F: Lanes>(items: &[u8], rows: usize, out: &mut [u8]) {
    if rows == 0 {
        return;
    }
    let len = items.len() / ITEM / rows;
    if len == 0 || rows >= F::LANES {
        return each_block::<F>(out, ITEM, (SHARE / len.max(1)).max(8), |first, count, out| {
            let (mut total, mut next) = (Point::IDENTITY, Point::IDENTITY);
            for i in 0..len {
                F::load(
                    items,
                    &positions(first, count).map(|row| row * len + i),
                    &mut next,
                );
                F::add(&mut total, &next);
            }
            F::store(&total, out);
        });
    }
    let pieces = threads().min(len / SHARE).max(1);
    let size = len.div_ceil(pieces);
    let mut parts = vec![0; rows * pieces * ITEM];
    fill_rows(&mut parts, ITEM, 1, |k, part| {
        let (row, piece) = (k / pieces, k % pieces);
        let (start, end) = ((piece * size).min(len), ((piece + 1) * size).min(len));
        sum_of::<F>(&items[(row * len + start) * ITEM..(row * len + end) * ITEM], part);
    });
    if pieces == 1 {
        out.copy_from_slice(&parts);
    } else {
        for (row, out) in parts.chunks_exact(pieces * ITEM).zip(out.chunks_exact_mut(ITEM)) {
            sum_of::<F>(row, out);
        }
    }
}

/// Running sums: of pieces, one a lane; then what comes before a piece is added to its items.
pub fn running_products<F: Lanes>(items: &[u8], out: &mut [u8]) {
    let n = items.len() / ITEM;
    let groups = threads().min(n / SHARE).max(1);
    let size = n.div_ceil(groups * F::LANES).max(1);
    let group = size * F::LANES;
    // Pieces lie one after the other; the last ones may be short or missing.
    let run = |first: usize, chunk: &mut [u8], before: Option<&[u8]>| {
        let rows = chunk.len() / ITEM;
        let count = rows.div_ceil(size);
        let (mut total, mut next) = (Point::IDENTITY, Point::IDENTITY);
        let mut stored = [0; 8 * ITEM];
        if let Some(before) = before {
            F::load(before, &positions(first / size, count), &mut total);
        }
        for i in 0..size.min(rows) {
            let at = positions(0, count).map(|piece| (piece * size + i).min(rows - 1));
            match before {
                None => {
                    F::load(items, &at.map(|k| first + k), &mut next);
                    F::add(&mut total, &next);
                    F::store(&total, &mut stored);
                }
                Some(_) => {
                    F::load(chunk, &at, &mut next);
                    F::add(&mut next, &total);
                    F::store(&next, &mut stored);
                }
            }
            for piece in 0..count {
                let place = piece * size + i;
                if place < rows {
                    chunk[place * ITEM..][..ITEM].copy_from_slice(&stored[piece * ITEM..][..ITEM]);
                }
            }
        }
    };
    fill_rows(out, ITEM, group, |first, chunk| run(first, chunk, None));
    if n > size {
        let mut before = identity::<F>();
        let (mut total, mut next) = (Point::IDENTITY, Point::IDENTITY);
        let mut row = [0; ITEM];
        for end in (size..n).step_by(size) {
            F::load(out, &[end - 1; 8], &mut next);
            F::add(&mut total, &next);
            F::store(&total, &mut row);
            before.extend_from_slice(&row);
        }
        fill_rows(out, ITEM, group, |first, chunk| run(first, chunk, Some(&before)));
    }
}

// -- affine coordinates ---------------------------------------------------------------------------------

/// `visit(i, count, affine, neutral)` for the block of items from the i-th on, in whatever order; the lanes of
/// `neutral` are the identity. One inversion for all, none where z is 1.
fn affine_blocks<F: Lanes>(items: &[u8], mut visit: impl FnMut(usize, usize, &Affine<F>, u8)) {
    let one = identity::<F>()[32..64].to_vec();
    let plain = items.chunks_exact(ITEM).all(|item| item[64..] == one);
    let n = items.len() / ITEM;
    let mut points = vec![(Point::IDENTITY, F::ONE); n.div_ceil(F::LANES)];
    let mut product = F::ONE;
    for (k, (point, before)) in points.iter_mut().enumerate() {
        let first = k * F::LANES;
        F::load(items, &positions(first, (n - first).min(F::LANES)), point);
        if !plain {
            F::gather_inverse(&point.z, &mut product, before);
        }
    }
    if !plain {
        F::invert_number(&mut product);
    }
    let mut affine = Affine {
        x: F::ZERO,
        y: F::ZERO,
    };
    for (k, (point, before)) in points.iter().enumerate().rev() {
        let (first, mut neutral) = (k * F::LANES, 0);
        if plain {
            affine = Affine {
                x: point.x,
                y: point.y,
            };
        } else {
            neutral = F::take_inverse(point, &mut product, before, &mut affine);
        }
        visit(first, (n - first).min(F::LANES), &affine, neutral);
    }
}

/// Coordinates as `Field::splat` reads them, and which are the identity's, without meaning.
pub(super) fn flatten<F: Lanes>(items: &[u8]) -> (Vec<[[u64; 5]; 2]>, Vec<bool>) {
    let n = items.len() / ITEM;
    let (mut flat, mut neutral) = (vec![[[0; 5]; 2]; n], vec![false; n]);
    for start in (0..n).step_by(AT_ONCE) {
        let part = &items[start * ITEM..(start + AT_ONCE).min(n) * ITEM];
        affine_blocks::<F>(part, |first, count, affine, mask| {
            let mut rows = [[0; 4]; 16];
            F::store_affine(affine, &mut rows);
            for lane in 0..count {
                let i = start + first + lane;
                flat[i] = [F::lay(rows[2 * lane]), F::lay(rows[2 * lane + 1])];
                neutral[i] = mask >> lane & 1 == 1;
            }
        });
    }
    (flat, neutral)
}

/// Each chunk's numbers x and y, out of Montgomery form: `write(row, x, y)`, None for the identity.
fn affine_rows<F: Lanes>(
    items: &[u8],
    out: &mut [u8],
    row: usize,
    write: impl Fn(&mut [u8], Option<(Scalar, Scalar)>) + Sync + Send,
) {
    fill_rows(out, row, AT_ONCE, |start, chunk| {
        let items = &items[start * ITEM..][..chunk.len() / row * ITEM];
        affine_blocks::<F>(items, |first, count, affine, neutral| {
            let (mut x, mut y) = (Words::ZERO, Words::ZERO);
            F::leave_affine(affine, &mut x, &mut y);
            for lane in 0..count {
                let point = (neutral >> lane & 1 == 0).then(|| (x.lane(lane), y.lane(lane)));
                write(&mut chunk[(first + lane) * row..][..row], point);
            }
        });
    });
}

pub const ENCODING: usize = 33;

/// SEC 1, compressed; zeros for the identity. One inversion for many.
pub fn encode<F: Lanes>(items: &[u8], out: &mut [u8]) {
    affine_rows::<F>(items, out, ENCODING, |row, point| match point {
        None => row.fill(0),
        Some((x, y)) => {
            row[0] = 2 + (y[0] & 1) as u8;
            for i in 0..4 {
                row[1 + 8 * i..][..8].copy_from_slice(&x[3 - i].to_be_bytes());
            }
        }
    });
}

/// x modulo 2^64, 0 for the identity.
pub fn log_keys<F: Lanes>(items: &[u8], out: &mut [u8]) {
    affine_rows::<F>(items, out, 8, |row, point| {
        row.copy_from_slice(&point.map_or(0, |(x, _)| x[0]).to_le_bytes());
    });
}

/// Items of what `encode` writes, and masks of where that was.
pub fn decode<F: Lanes>(data: &[u8], out: &mut [u8], masks: &mut [u8]) {
    each_two_masked::<F>(out, ITEM, masks, SHARE, |first, count, rows, masks| {
        let (mut x, mut parity, mut good, mut neutral) = ([Words::ZERO; 2], [0u8; 2], [0u8; 2], [0u8; 2]);
        for i in 0..count {
            let (block, lane) = (i / F::LANES, i % F::LANES);
            let given = &data[(first + i) * ENCODING..][..ENCODING];
            let number = big_endian(&given[1..]);
            x[block].set(lane, number);
            parity[block] |= (given[0] & 1) << lane;
            good[block] |= ((given[0] & !1 == 2 && subtract(number, P).1 == 1) as u8) << lane;
            neutral[block] |= ((given[0] == 0 && number == [0; 4]) as u8) << lane;
        }
        let mut points = [Point::IDENTITY; 2];
        let found = F::lift(&x, parity, &mut points);
        for block in 0..2 {
            good[block] &= found[block];
            F::keep(&mut points[block], good[block]);
            neutral[block] |= good[block];
        }
        store_two(&points, rows);
        spread_two::<F>(neutral, masks);
    });
}

/// A little-endian number of `width` bytes modulo 2^256.
fn number(bytes: &[u8]) -> Scalar {
    let mut padded = [0; 32];
    let kept = bytes.len().min(32);
    padded[..kept].copy_from_slice(&bytes[..kept]);
    words(&padded)
}

/// Items of Jacobian coordinates, three numbers of `width` bytes each.
pub fn from_numbers<F: Lanes>(data: &[u8], width: usize, out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE, |first, count, rows| {
        let mut numbers = [Words::ZERO; 3];
        for lane in 0..count {
            for (k, words) in numbers.iter_mut().enumerate() {
                words.set(lane, number(&data[(3 * (first + lane) + k) * width..][..width]));
            }
        }
        let mut point = Point::IDENTITY;
        F::from_jacobian(&numbers[0], &numbers[1], &numbers[2], &mut point);
        F::store(&point, rows);
    });
}

/// Jacobian coordinates, three numbers of 32 bytes each; z is 1 where the item's is.
pub fn to_numbers<F: Lanes>(items: &[u8], out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE, |first, count, rows| {
        let (mut point, mut numbers) = (Point::IDENTITY, [Words::ZERO; 3]);
        F::load(items, &positions(first, count), &mut point);
        let [x, y, z] = &mut numbers;
        F::to_jacobian(&point, x, y, z);
        for (lane, row) in rows.chunks_exact_mut(96).enumerate() {
            for (k, bytes) in row.chunks_exact_mut(8).enumerate() {
                bytes.copy_from_slice(&numbers[k / 4].0[k % 4][lane].to_le_bytes());
            }
        }
    });
}

/// Points of numbers of 32 bytes, little-endian, by RFC 9380's simplified SWU map.
pub fn map_to_curve<F: Lanes>(data: &[u8], out: &mut [u8]) {
    each_of(out, ITEM, SHARE_OF_POWERS, 2 * F::LANES, |first, count, rows| {
        let mut x = [Words::ZERO; 2];
        for i in 0..count {
            x[i / F::LANES].set(i % F::LANES, words(&data[32 * (first + i)..][..32]));
        }
        let mut points = [Point::IDENTITY; 2];
        F::map_to_curve(&x, &[Words::ZERO; 2], &mut points);
        store_two(&points, rows);
    });
}

pub const UNIFORM: usize = 96;

/// Points of two numbers of 48 bytes each, big-endian: RFC 9380's hash_to_curve of hash_to_field's output.
pub fn from_uniform<F: Lanes>(data: &[u8], out: &mut [u8]) {
    each_block::<F>(out, ITEM, SHARE_OF_POWERS, |first, count, rows| {
        let (mut low, mut high) = ([Words::ZERO; 2], [Words::ZERO; 2]);
        for lane in 0..count {
            let row = &data[(first + lane) * UNIFORM..][..UNIFORM];
            for (half, bytes) in row.chunks_exact(48).enumerate() {
                let mut top = [0; 32];
                top[16..].copy_from_slice(&bytes[..16]);
                high[half].set(lane, big_endian(&top));
                low[half].set(lane, big_endian(&bytes[16..]));
            }
        }
        let mut halves = [Point::IDENTITY; 2];
        F::map_to_curve(&low, &high, &mut halves);
        let [mut sum, other] = halves;
        F::add(&mut sum, &other);
        F::store(&sum, rows);
    });
}

pub const BLOCK: usize = 30;
const CANDIDATES: u64 = 128;

/// block 2^8
fn candidate(block: &[u8]) -> Scalar {
    let mut bytes = [0; 32];
    bytes[1..31].copy_from_slice(block);
    big_endian(&bytes)
}

/// Points with x = block 2^8 + counter for the first counter from 1 to 128 that has one, y even; the same work
/// for all blocks.
pub fn embed<F: Lanes>(blocks: &[u8], out: &mut [u8], masks: &mut [u8]) {
    each_two_masked::<F>(out, ITEM, masks, 8, |first, count, rows, masks| {
        let (mut x, mut chosen) = ([Words::ZERO; 2], [[0u64; 8]; 2]);
        for i in 0..count {
            x[i / F::LANES].set(i % F::LANES, candidate(&blocks[(first + i) * BLOCK..][..BLOCK]));
        }
        let start = [x[0].0[0], x[1].0[0]];
        for counter in (1..=CANDIDATES).rev() {
            for block in 0..2 {
                x[block].0[0] = start[block].map(|low| low | counter);
            }
            let found = F::lifts(&x);
            for (found, chosen) in found.into_iter().zip(&mut chosen) {
                for (lane, chosen) in chosen.iter_mut().enumerate() {
                    let mask = std::hint::black_box((found as u64 >> lane & 1).wrapping_neg());
                    *chosen ^= mask & (*chosen ^ counter);
                }
            }
        }
        let mut none = [0u8; 2];
        for block in 0..2 {
            for lane in 0..8 {
                x[block].0[0][lane] = start[block][lane] | chosen[block][lane];
                none[block] |= ((chosen[block][lane] == 0) as u8) << lane;
            }
        }
        let mut points = [Point::IDENTITY; 2];
        let mut good = F::lift(&x, [0; 2], &mut points);
        for block in 0..2 {
            good[block] &= !none[block];
            F::keep(&mut points[block], good[block]);
        }
        store_two(&points, rows);
        spread_two::<F>(good, masks);
    });
}

/// The blocks that `embed` made items of, and masks of where there are some; time depends on the items.
pub fn extract<F: Lanes>(items: &[u8], out: &mut [u8], masks: &mut [u8]) {
    let mut coordinates = vec![0; items.len() / ITEM * 33];
    affine_rows::<F>(items, &mut coordinates, 33, |row, point| {
        row[32] = 1;
        if let Some((x, y)) = point {
            (0..4).for_each(|i| row[8 * i..][..8].copy_from_slice(&x[i].to_le_bytes()));
            row[32] = y[0] as u8 & 1;
        }
    });
    each_two_masked::<F>(out, BLOCK, masks, SHARE_OF_POWERS, |first, count, rows, masks| {
        let (mut x, mut counters, mut good) = ([Words::ZERO; 2], [[0u64; 8]; 2], [0u8; 2]);
        for i in 0..count {
            let (block, lane) = (i / F::LANES, i % F::LANES);
            let row = &coordinates[(first + i) * 33..][..33];
            let number = words(row);
            let counter = number[0] & 255;
            if row[32] == 0 && (1..=CANDIDATES).contains(&counter) && number[3] >> 56 == 0 {
                good[block] |= 1 << lane;
                counters[block][lane] = counter;
            }
            x[block].set(lane, [number[0] & !255, number[1], number[2], number[3]]);
        }
        let start = [x[0].0[0], x[1].0[0]];
        for lower in 1..CANDIDATES {
            let mut asked = [0u8; 2];
            for block in 0..2 {
                for (lane, &counter) in counters[block].iter().enumerate() {
                    asked[block] |= ((lower < counter) as u8) << lane;
                }
                asked[block] &= good[block];
                x[block].0[0] = start[block].map(|low| low | lower);
            }
            if asked == [0; 2] {
                break;
            }
            let found = F::lifts(&x);
            for block in 0..2 {
                good[block] &= !(found[block] & asked[block]);
            }
        }
        for (i, row) in rows.chunks_exact_mut(BLOCK).enumerate() {
            let (block, lane) = (i / F::LANES, i % F::LANES);
            let mut bytes = [0; 32];
            if good[block] >> lane & 1 == 1 {
                let number = [
                    start[block][lane],
                    x[block].0[1][lane],
                    x[block].0[2][lane],
                    x[block].0[3][lane],
                ];
                for i in 0..4 {
                    bytes[8 * i..][..8].copy_from_slice(&number[3 - i].to_be_bytes());
                }
            }
            row.copy_from_slice(&bytes[1..31]);
        }
        spread_two::<F>(good, masks);
    });
}
