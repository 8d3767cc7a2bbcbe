//! Products of powers (sums of multiples) with public exponents. This file is compiled once for each backend.

use super::super::constants as c;
use super::super::rows::{self, ITEM, NONE, Record, Term};
use super::encodings::inverses_of_z;
use super::field::{F, Mask};
use super::memory::{Windows, load_items, load_records, prefetch, splat_record, store_records};
use super::points::{
    Affine, Cached, Point, add, add_affine, add_two, add_two_affine, cached, doublings, identity,
    load_points, store_points, sum_of_lanes,
};
use super::powers::multiples;

/// Bits of a window of few powers.
const WINDOW: usize = 4;
/// Entries of such a table: multiples 0 to 8.
const ENTRIES: usize = 9;

kernels! {
/// Items prepared for buckets: y + x, y - x, 2 d x y, - 2 d x y, affine, or those of the negatives.
pub fn prepare(items: &[u8], negative: &[bool], output: &mut [Record]) {
    let count = output.len();
    let one = F::splat(&c::ONE);
    let d2 = F::splat(&c::D2);
    let mut affine = true;
    for start in (0..count).step_by(8) {
        let [_, _, z, _] = load_items(items, &rows::eight(start, count));
        affine &= z.same(&one) == 0xff;
    }
    let inverses = if affine { Vec::new() } else { inverses_of_z(items) };
    for start in (0..count).step_by(8) {
        let places = rows::eight(start, count);
        let [mut x, mut y, _, mut t] = load_items(items, &places);
        if !affine {
            let inverse = &inverses[start / 16][start / 8 % 2];
            x = x.mul(inverse).carry();
            y = y.mul(inverse).carry();
            t = t.mul(inverse).carry();
        }
        let mut turned = 0;
        for lane in 0..8 {
            if places[lane] != NONE {
                turned |= (negative[places[lane]] as u8) << lane;
            }
        }
        let (plus, minus) = (y.add(&x).carry(), y.sub(&x).carry());
        let t2d = t.mul(&d2).carry();
        let opposite = t2d.neg().carry();
        let numbers = [
            plus.select(turned, &minus),
            minus.select(turned, &plus),
            t2d.select(turned, &opposite),
            opposite.select(turned, &t2d),
        ];
        if start + 8 <= count {
            store_records(&mut output[start..start + 8], &[0, 1, 2, 3, 4, 5, 6, 7], &numbers);
        } else {
            let mut some = [Record([0; 24]); 8];
            store_records(&mut some, &[0, 1, 2, 3, 4, 5, 6, 7], &numbers);
            output[start..].copy_from_slice(&some[..count - start]);
        }
    }
}

/// A base, or its negative where the digit of the lane's window is.
#[inline]
fn signed(base: &Record, negative: Mask) -> Affine {
    let [plus, minus, t2d, opposite] = splat_record(base);
    Affine {
        plus: plus.select(negative, &minus),
        minus: minus.select(negative, &plus),
        t2d: t2d.select(negative, &opposite),
    }
}

#[inline]
fn from_record([plus, minus, z, t]: &[F; 4]) -> Point {
    Point { plus: *plus, minus: *minus, z: *z, t: *t }
}

#[inline]
fn to_record(a: &Point) -> [F; 4] {
    [a.plus, a.minus, a.z, a.t]
}

/// Pippenger's buckets for eight windows of `width` bits from `first` on, a lane each: the
/// sums of digit times base. Each base is in all lanes, added to a bucket of each.
pub fn buckets(
    bases: &[Record], exponents: &[[u64; 8]], chosen: &[u32], width: usize, first: usize, output: &mut [u8]
) {
    let half = 1 << (width - 1);
    let lane_starts: [usize; 8] = std::array::from_fn(|lane| lane * (half + 1));
    let windows = Windows::new(width, first, &lane_starts);
    let neutral = Record::new([c::ONE, c::ONE, c::ONE, c::ZERO]);
    let mut sums = vec![neutral; 8 * (half + 1)]; // bucket 0 takes what is not wanted
    // Two bases at a time; the buckets of the next two are fetched meanwhile.
    let (pairs, rest) = chosen.as_chunks::<2>();
    let mut next = [(lane_starts, 0); 2];
    if let Some(&[row, other]) = pairs.first() {
        next = [windows.places(&exponents[row as usize]), windows.places(&exponents[other as usize])];
    }
    for (i, &[row, other]) in pairs.iter().enumerate() {
        let [(places, negative), (other_places, other_negative)] = next;
        if let Some(&[row, other]) = pairs.get(i + 1) {
            next = [windows.places(&exponents[row as usize]), windows.places(&exponents[other as usize])];
            prefetch(&sums, &next[0].0);
            prefetch(&sums, &next[1].0);
        }
        let base = signed(&bases[row as usize], negative);
        let other_base = signed(&bases[other as usize], other_negative);
        let mut apart = true;
        for lane in 0..8 {
            apart &= places[lane] != other_places[lane] || places[lane] == lane_starts[lane];
        }
        let point = from_record(&load_records(&sums, &places));
        if apart {
            let other_point = from_record(&load_records(&sums, &other_places));
            let [sum, other_sum] = add_two_affine([&point, &other_point], [&base, &other_base]);
            store_records(&mut sums, &places, &to_record(&sum));
            store_records(&mut sums, &other_places, &to_record(&other_sum));
        } else {
            store_records(&mut sums, &places, &to_record(&add_affine(&point, &base)));
            let other_point = from_record(&load_records(&sums, &other_places));
            store_records(&mut sums, &other_places, &to_record(&add_affine(&other_point, &other_base)));
        }
    }
    for &row in rest {
        let (places, negative) = windows.places(&exponents[row as usize]);
        let point = from_record(&load_records(&sums, &places));
        let sum = add_affine(&point, &signed(&bases[row as usize], negative));
        store_records(&mut sums, &places, &to_record(&sum));
    }
    // From the highest bucket down: the sum of those so far, and the sum of these sums, one step behind.
    let mut running = identity();
    let mut total = identity();
    for digit in (1..=half).rev() {
        let mut places = lane_starts;
        for place in &mut places {
            *place += digit;
        }
        let bucket = from_record(&load_records(&sums, &places));
        let before = cached(&running);
        [running, total] = add_two([&running, &total], [&cached(&bucket), &before]);
    }
    total = add(&total, &cached(&running));
    store_points(output, &rows::eight(0, 8), &total);
}

/// The sum of 2^(width k) times window k; an item is the sums of a window.
pub fn join_windows(windows: &[u8], width: usize, output: &mut [u8]) {
    let mut result = identity();
    for k in (0..windows.len() / ITEM).rev() {
        let window = load_points(windows, &[k; 8]);
        result = add(&doublings(&result, width), &cached(&window));
    }
    store_points(output, &rows::eight(0, 1), &result);
}

/// Straus: eight products of powers, one in each lane, of as many powers as there are terms.
/// Doublings are shared.
fn lanes_of_powers(items: &[u8], terms: &[Term]) -> Point {
    let mut tables = vec![Record([0; 24]); terms.len() * 8 * ENTRIES];
    let mut shifted = Vec::with_capacity(terms.len());
    let mut counts = Vec::with_capacity(terms.len());
    let neutral = Record::new([c::ONE, c::ONE, [2, 0, 0, 0, 0], c::ZERO]);
    let lane_starts: [usize; 8] = std::array::from_fn(|lane| lane * ENTRIES);
    for (term, Term { places, exponents, negative }) in terms.iter().enumerate() {
        let mut point = load_points(items, places);
        let (plus, minus) = (point.plus, point.minus);
        point.plus = plus.select(*negative, &minus);
        point.minus = minus.select(*negative, &plus);
        point.t = point.t.select(*negative, &point.t.neg().carry());
        let table = &mut tables[term * 8 * ENTRIES..][..8 * ENTRIES];
        for lane in 0..8 {
            table[lane_starts[lane]] = neutral;
        }
        for (k, multiple) in multiples(&point).iter().enumerate() {
            let mut to = lane_starts;
            for place in &mut to {
                *place += k + 1;
            }
            store_records(table, &to, &[multiple.plus, multiple.minus, multiple.z2, multiple.t2d]);
        }
        let mut bits = 0;
        for exponent in exponents {
            bits = bits.max(rows::bit_length(exponent));
        }
        let windows = rows::window_count(bits, WINDOW);
        let offset = rows::offset(WINDOW, windows);
        let mut each = [[0; 8]; 8];
        for lane in 0..8 {
            each[lane] = rows::add_offset(&exponents[lane], &offset);
        }
        shifted.push(each);
        counts.push(windows);
    }
    let mut result = identity();
    let most = counts.iter().copied().max().unwrap_or(0);
    for k in (0..most).rev() {
        if k + 1 < most {
            result = doublings(&result, WINDOW);
        }
        for term in 0..terms.len() {
            if k >= counts[term] {
                continue;
            }
            let mut places = lane_starts;
            let mut negative = 0;
            for lane in 0..8 {
                let digit = rows::digit(&shifted[term][lane], WINDOW, k);
                places[lane] += digit.unsigned_abs() as usize;
                negative |= ((digit < 0) as u8) << lane;
            }
            let [plus, minus, z2, t2d] = load_records(&tables[term * 8 * ENTRIES..][..8 * ENTRIES], &places);
            let entry = Cached {
                plus: plus.select(negative, &minus),
                minus: minus.select(negative, &plus),
                z2,
                t2d: t2d.select(negative, &t2d.neg().carry()),
            };
            result = add(&result, &entry);
        }
    }
    result
}

/// Products of powers: `rows` of them, or one of which the powers are dealt to the lanes.
pub fn straus(items: &[u8], terms: &[Term], output: &mut [u8], one: bool) {
    let mut sums = lanes_of_powers(items, terms);
    if one {
        sums = sum_of_lanes(&sums);
    }
    store_points(output, &rows::eight(0, output.len() / ITEM), &sums);
}
}
