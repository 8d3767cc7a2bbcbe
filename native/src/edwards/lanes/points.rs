//! Points of edwards25519 in eight lanes, and what needs nothing but additions of them.
//!
//! The formulas are those of Hisil, Wong, Carter and Dawson ("Twisted Edwards curves revisited", 2008) for
//! a = -1, complete on the whole curve: no case is special. This file is compiled once for each backend.

use super::super::constants as c;
use super::super::rows::{ITEM, NONE, eight};
use super::field::{F, Factor, Mask, Wide};
use super::memory::{load_items, store_items};

/// Y + X, Y - X, Z, T with x = X/Z, y = Y/Z, T = XY/Z.
#[derive(Clone, Copy)]
pub struct Point {
    pub plus: F,
    pub minus: F,
    pub z: F,
    pub t: F,
}

/// A point prepared for addition: Y + X, Y - X, 2 Z, 2 d T.
#[derive(Clone, Copy)]
pub struct Cached {
    pub plus: F,
    pub minus: F,
    pub z2: F,
    pub t2d: F,
}

/// The same with Z = 1.
#[derive(Clone, Copy)]
pub struct Affine {
    pub plus: F,
    pub minus: F,
    pub t2d: F,
}

// What follows up to `kernels!` is inlined wherever it is used: a point that is handed over in memory costs a
// tenth of an addition.

/// (e f : g h : f g : e h)
#[inline(always)]
fn close([e, f, g, h]: &[Factor; 4]) -> Point {
    let (x, y) = (e.mul(f), g.mul(h));
    Point { plus: y.add(&x).carry(), minus: y.sub(&x).carry(), z: f.mul(g).carry(), t: e.mul(h).carry() }
}

/// The same without T, which is left arbitrary.
#[inline(always)]
fn close_without_t([e, f, g, h]: &[Factor; 4]) -> Point {
    let (x, y, z) = (e.mul(f), g.mul(h), f.mul(g).carry());
    Point { plus: y.add(&x).carry(), minus: y.sub(&x).carry(), z, t: z }
}

/// e, f, g, h of a sum. 4 products.
#[inline(always)]
fn open(a: &Point, b: &Cached) -> [Factor; 4] {
    let (u, v) = (a.minus.mul(&b.minus), a.plus.mul(&b.plus));
    let (c, d) = (a.t.mul(&b.t2d), a.z.mul(&b.z2));
    [v.sub(&u).factor(), d.sub(&c).factor(), d.add(&c).factor(), v.add(&u).factor()]
}

/// e, f, g, h of a sum. 3 products.
#[inline(always)]
fn open_affine(a: &Point, b: &Affine) -> [Factor; 4] {
    let (u, v) = (a.minus.mul(&b.minus), a.plus.mul(&b.plus));
    let (c, d) = (a.t.mul(&b.t2d), a.z.add(&a.z));
    [v.sub(&u).factor(), d.sub(&c).factor(), d.add(&c).factor(), v.add(&u).factor()]
}

/// a + b. Constant-time. 8 products.
#[inline(always)]
pub fn add(a: &Point, b: &Cached) -> Point {
    close(&open(a, b))
}

/// a + b. Constant-time. 7 products.
#[inline(always)]
pub fn add_affine(a: &Point, b: &Affine) -> Point {
    close(&open_affine(a, b))
}

/// Two sums at a time, of which one hides the latency of the other. Constant-time.
#[inline(always)]
pub fn add_two(a: [&Point; 2], b: [&Cached; 2]) -> [Point; 2] {
    let (first, second) = (open(a[0], b[0]), open(a[1], b[1]));
    [close(&first), close(&second)]
}

/// The same with affine points.
#[inline(always)]
pub fn add_two_affine(a: [&Point; 2], b: [&Affine; 2]) -> [Point; 2] {
    let (first, second) = (open_affine(a[0], b[0]), open_affine(a[1], b[1]));
    [close(&first), close(&second)]
}

kernels! {
/// With p = Y + X, m = Y - X: 4 X Y = p^2 - m^2, 2 (X^2 + Y^2) = p^2 + m^2, Y^2 - X^2 = p m.
fn open_double(a: &Point) -> [Factor; 4] {
    let (p2, m2, pm, zz) = (a.plus.square(), a.minus.square(), a.plus.mul(&a.minus), a.z.square());
    let g = pm.double();
    [p2.sub(&m2).factor(), zz.double().double().sub(&g).factor(), g.factor(), p2.add(&m2).factor()]
}

/// 2 a. Constant-time. 5 products and 3 squares.
pub fn double(a: &Point) -> Point {
    close(&open_double(a))
}

/// 2 a without T. Constant-time. 4 products and 3 squares.
fn double_without_t(a: &Point) -> Point {
    close_without_t(&open_double(a))
}

/// 2^count a, count > 0. Constant-time.
pub fn doublings(a: &Point, count: usize) -> Point {
    let mut result = *a;
    for _ in 1..count {
        result = double_without_t(&result);
    }
    double(&result)
}

/// Two points at a time, each times 2^count, count > 0. Constant-time.
pub fn two_doublings(a: &[Point; 2], count: usize) -> [Point; 2] {
    let [mut first, mut second] = *a;
    for _ in 1..count {
        let (u, v) = (open_double(&first), open_double(&second));
        (first, second) = (close_without_t(&u), close_without_t(&v));
    }
    let (u, v) = (open_double(&first), open_double(&second));
    [close(&u), close(&v)]
}

/// Constant-time. 1 product.
pub fn cached(a: &Point) -> Cached {
    let t2d = a.t.mul(&F::splat(&c::D2)).carry();
    Cached { plus: a.plus, minus: a.minus, z2: a.z.add(&a.z).carry(), t2d }
}

pub fn identity() -> Point {
    let one = F::splat(&c::ONE);
    Point { plus: one, minus: one, z: one, t: F::splat(&c::ZERO) }
}

/// -a where the mask has a bit. Constant-time.
#[inline]
pub fn negated(a: &Cached, mask: Mask) -> Cached {
    Cached {
        plus: a.plus.select(mask, &a.minus),
        minus: a.minus.select(mask, &a.plus),
        z2: a.z2,
        t2d: a.t2d.select(mask, &a.t2d.neg().carry()),
    }
}

/// -a where the mask has a bit. Constant-time.
#[inline]
pub fn negated_affine(a: &Affine, mask: Mask) -> Affine {
    Affine {
        plus: a.plus.select(mask, &a.minus),
        minus: a.minus.select(mask, &a.plus),
        t2d: a.t2d.select(mask, &a.t2d.neg().carry()),
    }
}

#[inline]
pub fn from_coordinates(a: &[F; 4]) -> Point {
    let [x, y, z, t] = a;
    Point { plus: y.add(x).carry(), minus: y.sub(x).carry(), z: *z, t: *t }
}

/// X, Y, Z, T, canonical: all times 2.
#[inline]
pub fn to_coordinates(a: &Point) -> [F; 4] {
    let twice = |b: &Wide| b.carry().canonical();
    [
        twice(&a.plus.sub(&a.minus)),
        twice(&a.plus.add(&a.minus)),
        twice(&a.z.add(&a.z)),
        twice(&a.t.add(&a.t)),
    ]
}

pub fn load_points(items: &[u8], rows: &[usize; 8]) -> Point {
    from_coordinates(&load_items(items, rows))
}

pub fn store_points(items: &mut [u8], rows: &[usize; 8], a: &Point) {
    store_items(items, rows, &to_coordinates(a));
}

/// Lane 0 of the result is the sum of all lanes.
pub fn sum_of_lanes(a: &Point) -> Point {
    let mut sum = *a;
    for count in [4, 2, 1] {
        let other = Point {
            plus: sum.plus.rotate(count),
            minus: sum.minus.rotate(count),
            z: sum.z.rotate(count),
            t: sum.t.rotate(count),
        };
        sum = add(&sum, &cached(&other));
    }
    sum
}

/// Rows of the sums of two arrays, one of which may be a single row. Constant-time.
pub fn multiply(a: &[u8], b: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    let single = |items: &[u8]| items.len() == ITEM;
    let rows_of = |items: &[u8], rows: &[usize; 8]| if single(items) { [0; 8] } else { *rows };
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let left = load_points(a, &rows_of(a, &rows));
        let right = load_points(b, &rows_of(b, &rows));
        store_points(output, &rows, &add(&left, &cached(&right)));
    }
}

/// The negatives. Constant-time.
pub fn invert(items: &[u8], output: &mut [u8]) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let [x, y, z, t] = load_items(items, &rows);
        let inverse = [x.neg().carry().canonical(), y.canonical(), z.canonical(), t.neg().carry().canonical()];
        store_items(output, &rows, &inverse);
    }
}

/// The sum of the items; lane 0.
pub fn sum(items: &[u8]) -> Point {
    let count = items.len() / ITEM;
    let mut total = load_points(items, &eight(0, count));
    for start in (8..count).step_by(8) {
        total = add(&total, &cached(&load_points(items, &eight(start, count))));
    }
    sum_of_lanes(&total)
}

/// One sum to each row of the output, of as many items each.
pub fn products(items: &[u8], output: &mut [u8]) {
    let rows = output.len() / ITEM;
    let length = items.len() / ITEM / rows.max(1);
    if rows < 4 {
        for row in 0..rows {
            let total = sum(&items[ITEM * length * row..][..ITEM * length]);
            store_points(output, &[row, NONE, NONE, NONE, NONE, NONE, NONE, NONE], &total);
        }
        return;
    }
    for start in (0..rows).step_by(8) {
        let places = eight(start, rows);
        let mut total = identity();
        for j in 0..length {
            let from = places.map(|row| if row == NONE { NONE } else { row * length + j });
            total = add(&total, &cached(&load_points(items, &from)));
        }
        store_points(output, &places, &total);
    }
}

/// Sums of the first items, of the first two, and so on, after those of `before` (one item). Eight stretches
/// side by side, then each with what comes before it.
pub fn running_products(before: &[u8], items: &[u8], output: &mut [u8]) {
    let count = items.len() / ITEM;
    let length = count.div_ceil(8);
    let mut total = identity();
    for j in 0..length {
        let mut rows = [NONE; 8];
        for (lane, row) in rows.iter_mut().enumerate() {
            if length * lane + j < count {
                *row = length * lane + j;
            }
        }
        total = add(&total, &cached(&load_points(items, &rows)));
        store_points(output, &rows, &total);
    }
    // The sums of whole stretches, as rows, and what comes before each.
    let mut offsets = [0; 9 * ITEM];
    offsets[..ITEM].copy_from_slice(before);
    store_points(&mut offsets[ITEM..], &eight(0, 8), &total);
    for lane in 1..9 {
        let (left, right) = offsets.split_at_mut(ITEM * lane);
        let mut sum = [0; ITEM];
        multiply(&left[ITEM * (lane - 1)..], &right[..ITEM], &mut sum);
        right[..ITEM].copy_from_slice(&sum);
    }
    let offsets = cached(&load_points(&offsets, &eight(0, 8)));
    for j in 0..length {
        let mut rows = [NONE; 8];
        for (lane, row) in rows.iter_mut().enumerate() {
            if length * lane + j < count {
                *row = length * lane + j;
            }
        }
        let sums = load_points(output, &rows);
        store_points(output, &rows, &add(&sums, &offsets));
    }
}
}
