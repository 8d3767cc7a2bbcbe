//! Encodings of ristretto255 (RFC 9496) and ed25519 (RFC 8032), messages, and points of uniform bytes.
//!
//! Roots are taken of several vectors at a time, which hides the latency of squarings: of four, or of two where
//! there are no more. Everything here takes the same operations and memory accesses for all values, except
//! `extract`. This file is compiled once for each backend.

use super::super::constants as c;
use super::super::rows::{ITEM, NONE, eight};
use super::field::{F, Mask};
use super::memory::{load_items, load_numbers, store_items, store_numbers};
use super::points::{Point, add, cached, doublings, from_coordinates, load_points, store_points};

/// Vectors whose roots are taken together.
const MANY: usize = 4;
const FEW: usize = 2;
/// Elements in as many lanes.
const GROUP: usize = 8 * MANY;
/// Candidates for the element of a block, and bytes of a block.
const CANDIDATES: u64 = 192;
pub const BLOCK: usize = 30;

kernels! {
/// Numbers to the power 2^count, count > 0.
fn squarings<const N: usize>(a: &[F; N], count: usize) -> [F; N] {
    let mut squares = [a[0].square(); N];
    for k in 1..N {
        squares[k] = a[k].square();
    }
    for _ in 1..count {
        for square in &mut squares {
            *square = square.factor().square();
        }
    }
    let mut result = *a;
    for k in 0..N {
        result[k] = squares[k].carry();
    }
    result
}

#[inline]
fn products<const N: usize>(a: &[F; N], b: &[F; N]) -> [F; N] {
    let mut result = *a;
    for k in 0..N {
        result[k] = a[k].mul(&b[k]).carry();
    }
    result
}

/// The powers 11 and 2^250 - 1.
fn long_powers<const N: usize>(a: &[F; N]) -> ([F; N], [F; N]) {
    let second = squarings(a, 1);
    let ninth = products(&squarings(&second, 2), a);
    let eleventh = products(&ninth, &second);
    let bits_5 = products(&squarings(&eleventh, 1), &ninth); // 2^5 - 1 = 22 + 9
    let bits_10 = products(&squarings(&bits_5, 5), &bits_5);
    let bits_20 = products(&squarings(&bits_10, 10), &bits_10);
    let bits_40 = products(&squarings(&bits_20, 20), &bits_20);
    let bits_50 = products(&squarings(&bits_40, 10), &bits_10);
    let bits_100 = products(&squarings(&bits_50, 50), &bits_50);
    let bits_200 = products(&squarings(&bits_100, 100), &bits_100);
    (eleventh, products(&squarings(&bits_200, 50), &bits_50))
}

/// The power (p - 5)/8 = 2^252 - 3: 254 squares and products.
fn root_powers<const N: usize>(a: &[F; N]) -> [F; N] {
    let (_, bits_250) = long_powers(a);
    products(&squarings(&bits_250, 2), a)
}

/// 1/a, and 0 for 0: the power p - 2 = 2^255 - 21.
fn inverses<const N: usize>(a: &[F; N]) -> [F; N] {
    let (eleventh, bits_250) = long_powers(a);
    products(&squarings(&bits_250, 5), &eleventh)
}

/// In place: one inversion for all, and three products each (Montgomery, 1987). None is 0.
pub fn invert_all(numbers: &mut [[F; 2]]) {
    let one = F::splat(&c::ONE);
    let mut before = Vec::with_capacity(numbers.len());
    let mut product = [one, one];
    for pair in numbers.iter() {
        before.push(product);
        product = products(&product, pair);
    }
    let mut inverse = inverses(&product);
    for (pair, product) in numbers.iter_mut().zip(before).rev() {
        let result = products(&inverse, &product);
        inverse = products(&inverse, pair);
        *pair = result;
    }
}

/// r with v r^2 = 1, -1, i or -i, by the first two masks 1 or -1; times i where it was -1. So where one
/// mask has a bit, r is a root of 1/v. And v r^2 before that, canonical.
fn inverse_roots<const N: usize>(v: &[F; N]) -> ([F; N], [Mask; N], [F; N]) {
    let cube = products(&squarings(v, 1), v);
    let power = root_powers(&products(&squarings(&cube, 1), v));
    let mut root = products(&cube, &power);
    let check = products(&squarings(&root, 1), v);
    let (one, i) = (F::splat(&c::ONE), F::splat(&c::SQRT_M1));
    let minus_one = F::splat(&c::MINUS_ONE);
    let mut squares = [0; N];
    let mut checks = check;
    for k in 0..N {
        checks[k] = check[k].canonical();
        let flipped = checks[k].same(&minus_one);
        squares[k] = checks[k].same(&one) | flipped;
        root[k] = root[k].select(flipped, &root[k].mul(&i).carry());
    }
    (root, squares, checks)
}

/// RFC 9496, section 4.3.1, of even numbers below p: x and y and t, canonical, and where there are such.
fn decode_vectors<const N: usize>(s: &[F; N]) -> ([[F; 3]; N], [Mask; N]) {
    let one = F::splat(&c::ONE);
    let minus_d = F::splat(&c::D).neg().carry();
    let zero = F::splat(&c::ZERO);
    let (mut u1, mut u2, mut v, mut w) = ([zero; N], [zero; N], [zero; N], [zero; N]);
    for k in 0..N {
        let square = s[k].square();
        u1[k] = one.wide().sub(&square).carry();
        u2[k] = one.wide().add(&square).carry();
        let u2_squared = u2[k].square();
        v[k] = u1[k].square().carry().mul(&minus_d).sub(&u2_squared).carry();
        w[k] = v[k].mul(&u2_squared.carry()).carry();
    }
    let (root, mut mask, _) = inverse_roots(&w);
    let mut points = [[zero; 3]; N];
    for k in 0..N {
        let den_x = root[k].mul(&u2[k]).carry();
        let x = s[k].add(&s[k]).carry().mul(&den_x).carry().canonical();
        let x = x.select(x.odd(), &x.neg().carry().canonical());
        let den_y = den_x.mul(&root[k]).carry().mul(&v[k]).carry();
        let y = u1[k].mul(&den_y).carry().canonical();
        let t = x.mul(&y).carry().canonical();
        mask[k] &= !t.odd() & !y.zero();
        points[k] = [x, y, t];
    }
    (points, mask)
}

/// Stores points with Z = 1 where the mask has a bit, and else the identity; and the mask.
fn store_decoded(point: &[F; 3], mask: Mask, rows: &[usize; 8], items: &mut [u8], members: &mut [u8]) {
    let (zero, one) = (F::splat(&c::ZERO), F::splat(&c::ONE));
    let x = zero.select(mask, &point[0]);
    let y = one.select(mask, &point[1]);
    let t = zero.select(mask, &point[2]);
    store_items(items, rows, &[x, y, one, t]);
    for lane in 0..8 {
        if rows[lane] != NONE {
            members[rows[lane]] = mask >> lane & 1;
        }
    }
}

/// Ristretto encodings to items and a mask of members.
pub fn decode_ristretto(data: &[u8], items: &mut [u8], members: &mut [u8]) {
    for start in (0..members.len()).step_by(GROUP) {
        if members.len() - start > 8 * FEW {
            decode_ristretto_from::<MANY>(data, items, members, start);
        } else {
            decode_ristretto_from::<FEW>(data, items, members, start);
        }
    }
}

fn decode_ristretto_from<const N: usize>(data: &[u8], items: &mut [u8], members: &mut [u8], start: usize) {
    let (mut numbers, mut fit) = ([F::splat(&c::ZERO); N], [0; N]);
    let rows: [_; N] = std::array::from_fn(|k| eight(start + 8 * k, members.len()));
    for k in 0..N {
        let (number, top, canonical) = load_numbers(data, &rows[k]);
        numbers[k] = number;
        fit[k] = canonical & !top & !number.odd();
    }
    let (points, masks) = decode_vectors(&numbers);
    for k in 0..N {
        store_decoded(&points[k], masks[k] & fit[k], &rows[k], items, members);
    }
}

/// RFC 9496, section 4.3.2: s, canonical.
fn encode_vectors<const N: usize>(points: &[[F; 4]; N]) -> [F; N] {
    let zero = F::splat(&c::ZERO);
    let (mut u1, mut u2, mut w) = ([zero; N], [zero; N], [zero; N]);
    for k in 0..N {
        let [x, y, z, _] = &points[k];
        u1[k] = z.add(y).carry().mul(&z.sub(y).carry()).carry();
        u2[k] = x.mul(y).carry();
        w[k] = u2[k].square().carry().mul(&u1[k]).carry();
    }
    let (root, squares, _) = inverse_roots(&w);
    let i = F::splat(&c::SQRT_M1);
    let magic = F::splat(&c::INVSQRT_A_MINUS_D);
    let mut encodings = [zero; N];
    for k in 0..N {
        let [x, y, z, t] = &points[k];
        let root = zero.select(squares[k], &root[k]); // 0 for 0, as the identity has it
        let (den_1, den_2) = (root.mul(&u1[k]).carry(), root.mul(&u2[k]).carry());
        let z_inverse = den_1.mul(&den_2).carry().mul(t).carry();
        let rotate = t.mul(&z_inverse).carry().canonical().odd();
        let turned_x = x.select(rotate, &y.mul(&i).carry());
        let turned_y = y.select(rotate, &x.mul(&i).carry());
        let den = den_2.select(rotate, &den_1.mul(&magic).carry());
        let negative = turned_x.mul(&z_inverse).carry().canonical().odd();
        let turned_y = turned_y.select(negative, &turned_y.neg().carry());
        let s = z.sub(&turned_y).carry().mul(&den).carry().canonical();
        encodings[k] = s.select(s.odd(), &s.neg().carry().canonical());
    }
    encodings
}

/// Items to ristretto encodings.
pub fn encode_ristretto(items: &[u8], output: &mut [u8]) {
    let count = items.len() / ITEM;
    for start in (0..count).step_by(GROUP) {
        if count - start > 8 * FEW {
            encode_ristretto_from::<MANY>(items, output, start);
        } else {
            encode_ristretto_from::<FEW>(items, output, start);
        }
    }
}

fn encode_ristretto_from<const N: usize>(items: &[u8], output: &mut [u8], start: usize) {
    let mut points = [[F::splat(&c::ZERO); 4]; N];
    let rows: [_; N] = std::array::from_fn(|k| eight(start + 8 * k, items.len() / ITEM));
    for k in 0..N {
        points[k] = load_items(items, &rows[k]);
    }
    let encodings = encode_vectors(&points);
    for k in 0..N {
        store_numbers(output, &rows[k], &encodings[k], 0);
    }
}

/// Ristretto encodings of the doubles, for one inversion altogether and no root at all.
///
/// The double of (X : Y : Z : T) is (e/f, g/h) with the numbers below, and e g / (f h), whose root an
/// encoding needs, is a square with a root that is known ("Ristretto: double and compress in a batch",
/// curve25519-dalek).
pub fn encode_squares(items: &[u8], output: &mut [u8]) {
    let count = items.len() / ITEM;
    let one = F::splat(&c::ONE);
    let zero = F::splat(&c::ZERO);
    let d = F::splat(&c::D);
    let mut parts = Vec::with_capacity(count.div_ceil(8));
    let mut products = Vec::with_capacity(count.div_ceil(16));
    for start in (0..count).step_by(16) {
        let mut pair = [one; 2];
        for k in 0..2 {
            let [x, y, z, t] = load_items(items, &eight(start + 8 * k, count));
            let (zz, dtt) = (z.square(), t.square().carry().mul(&d));
            let (xy, xx, yy) = (x.mul(&y), x.square(), y.square());
            let (e, g) = (xy.double().carry(), yy.add(&xx).carry());
            let (f, h) = (zz.add(&dtt).carry(), zz.sub(&dtt).carry());
            let (eg, fh) = (e.mul(&g).carry(), f.mul(&h).carry());
            let product = eg.mul(&fh).carry();
            pair[k] = product.select(product.canonical().zero(), &one);
            parts.push([e, f, g, h, eg, fh]);
        }
        products.push(pair);
    }
    invert_all(&mut products);
    let i = F::splat(&c::SQRT_M1);
    let magic = F::splat(&c::INVSQRT_A_MINUS_D);
    for (k, [e, f, g, h, eg, fh]) in parts.iter().enumerate() {
        let inverse = &products[k / 2][k % 2];
        let (z_inverse, t_inverse) = (eg.mul(inverse).carry(), fh.mul(inverse).carry());
        let rotate = eg.mul(&z_inverse).carry().canonical().odd();
        let turned_e = e.select(rotate, g);
        let turned_g = g.select(rotate, &e.neg().carry());
        let turned_h = h.select(rotate, &f.mul(&i).carry());
        let magic = magic.select(rotate, &i);
        let negative = turned_h.mul(&turned_e).carry().mul(&z_inverse).carry().canonical().odd();
        let turned_g = turned_g.select(negative, &turned_g.neg().carry());
        let root = turned_g.mul(&t_inverse).carry().mul(&magic).carry();
        let s = turned_h.sub(&turned_g).carry().mul(&root).carry().canonical();
        let s = s.select(s.odd(), &s.neg().carry().canonical());
        let s = s.select(eg.canonical().zero(), &zero); // the identity's
        store_numbers(output, &eight(8 * k, count), &s, 0);
    }
}

/// 1/Z of all items, in pairs of vectors.
pub fn inverses_of_z(items: &[u8]) -> Vec<[F; 2]> {
    let count = items.len() / ITEM;
    let mut numbers = Vec::with_capacity(count.div_ceil(16));
    for start in (0..count).step_by(16) {
        let [_, _, a, _] = load_items(items, &eight(start, count));
        let [_, _, b, _] = load_items(items, &eight(start + 8, count));
        numbers.push([a, b]);
    }
    invert_all(&mut numbers);
    numbers
}

/// Items to encodings of ed25519, for one inversion altogether.
pub fn encode_ed25519(items: &[u8], output: &mut [u8]) {
    let count = items.len() / ITEM;
    let inverses = inverses_of_z(items);
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let [x, y, _, _] = load_items(items, &rows);
        let inverse = &inverses[start / 16][start / 8 % 2];
        let x = x.mul(inverse).carry().canonical();
        let y = y.mul(inverse).carry().canonical();
        store_numbers(output, &rows, &y, x.odd());
    }
}

/// The low 64 bits of (x y)^2, which is the same when 4-torsion is added, and otherwise only under negation.
pub fn log_keys(items: &[u8], output: &mut [u8]) {
    let count = items.len() / ITEM;
    let inverses = inverses_of_z(items);
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let [_, _, _, t] = load_items(items, &rows);
        let xy = t.mul(&inverses[start / 16][start / 8 % 2]).carry();
        let keys = xy.square().carry().canonical().low_words();
        for lane in 0..8 {
            if rows[lane] != NONE {
                output[8 * rows[lane]..][..8].copy_from_slice(&keys[lane].to_le_bytes());
            }
        }
    }
}

/// RFC 8032, section 5.1.3, of y below p: x and y and t, canonical, and where there are such. A set bit 255
/// makes x odd; there is no -0.
fn decode_ed25519_vectors<const N: usize>(y: &[F; N], odd: [Mask; N]) -> ([[F; 3]; N], [Mask; N]) {
    let (one, zero) = (F::splat(&c::ONE), F::splat(&c::ZERO));
    let d = F::splat(&c::D);
    // x^2 = u/v = u^2 / (u v)
    let (mut u, mut w) = ([zero; N], [zero; N]);
    for k in 0..N {
        let square = y[k].square().carry();
        u[k] = square.sub(&one).carry();
        let v = square.mul(&d).add(&one.wide()).carry();
        w[k] = u[k].mul(&v).carry();
    }
    let (root, mut mask, _) = inverse_roots(&w);
    let mut points = [[zero; 3]; N];
    for k in 0..N {
        let x = u[k].mul(&root[k]).carry().canonical();
        // u = 0 has the root 0; v is never 0.
        mask[k] |= u[k].canonical().zero();
        mask[k] &= !(x.zero() & odd[k]);
        let x = x.select(x.odd() ^ odd[k], &x.neg().carry().canonical());
        points[k] = [x, y[k], x.mul(&y[k]).carry().canonical()];
    }
    (points, mask)
}

/// Where points of the curve have order L: where they are 8 times a point. x and y are affine.
///
/// In Montgomery's form v^2 = u^3 + A u^2 + u, u = (1 + y)/(1 - y), v = C u/x, P = (u, v) is a double exactly
/// if u is a square s^2, and then of the two numbers A + 2 s^2 +- 2 v/s exactly one is a square w^2,
/// and w^2 - A = u' + 1/u', w = v'/u' for a half (u', v') of P (T. Pornin, "Point-halving and subgroup
/// membership in twisted Edwards curves", ePrint 2022/1164). Of a point (u, v) with u = s^2 the Tate pairing with
/// the point (1, b) of order 4 is that of (v - b u)^2/u, a fourth power exactly if v/s - b s is a square: then,
/// and only then, is the point 4 times another. With u' = s'^2, s' + 1/s' = r, r^2 = u' + 1/u' + 2 for the half,
///
///     v'/s' - b s' = s' (w - b),   s' (r + 2) = (s' + 1)^2,
///
/// so P is 8 times a point exactly if such s, w, r exist and (r + 2)(w - b) is a square. Below w and r are
/// multiplied by x, which saves an inversion. Points with x = 0 are not asked about: only the identity has
/// order 1, and the caller knows it. Four roots each.
fn torsion_free_vectors<const N: usize>(x: &[F; N], y: &[F; N]) -> [Mask; N] {
    let (one, zero) = (F::splat(&c::ONE), F::splat(&c::ZERO));
    let (i, minus_i) = (F::splat(&c::SQRT_M1), F::splat(&c::MINUS_SQRT_M1));
    let mut numbers = [zero; N];
    // s = (1 + y) / sqrt((1 + y)(1 - y))
    for k in 0..N {
        numbers[k] = one.wide().sub(&y[k].square()).carry();
    }
    let (root, mut mask, _) = inverse_roots(&numbers);
    // n = x^2 (A + 2 s^2 + 2 C s/x) and m = x^2 (A + 2 s^2 - 2 C s/x): n m = x^4 (A^2 - 4).
    let mut x2 = [zero; N];
    for k in 0..N {
        let s = one.add(&y[k]).carry().mul(&root[k]).carry();
        x2[k] = x[k].square().carry();
        let middle = s.square().double().add(&F::splat(&c::MONTGOMERY_A).wide()).carry();
        let twice = s.mul(&x[k]).carry().mul(&F::splat(&c::MONTGOMERY_2C));
        numbers[k] = middle.mul(&x2[k]).add(&twice).carry();
    }
    let (root, squares, checks) = inverse_roots(&numbers);
    let n = numbers;
    let mut w = [zero; N];
    for k in 0..N {
        // Where n is a square, its root. Where n r^2 = i, that of m = x^4 r^2 (A^2 - 4)/i; -i is i i^2.
        let turned = root[k].select(checks[k].same(&minus_i), &root[k].mul(&i).carry());
        let other = x2[k].mul(&turned).carry().mul(&F::splat(&c::HALF_TWIST)).carry();
        w[k] = other.select(squares[k], &n[k].mul(&root[k]).carry());
        // r^2 x^2 = (w^2 - A + 2) x^2
        let least = x2[k].mul(&F::splat(&c::MONTGOMERY_A_MINUS_2));
        numbers[k] = w[k].square().sub(&least).carry();
    }
    let (root, squares, _) = inverse_roots(&numbers);
    for k in 0..N {
        mask[k] &= squares[k];
        let r = numbers[k].mul(&root[k]).carry();
        let sum = r.wide().add(&x[k].add(&x[k])).carry();
        let difference = w[k].wide().sub(&x[k].mul(&F::splat(&c::QUARTER_V))).carry();
        numbers[k] = sum.mul(&difference).carry();
    }
    let (_, squares, _) = inverse_roots(&numbers);
    for k in 0..N {
        mask[k] &= squares[k];
    }
    mask
}

/// Encodings to items of the whole curve and a mask: strictly canonical ones. With `members`, only
/// points of order L and the identity are.
pub fn decode_ed25519(data: &[u8], items: &mut [u8], members: &mut [u8], whole_curve: bool) {
    for start in (0..members.len()).step_by(GROUP) {
        if members.len() - start > 8 * FEW {
            decode_ed25519_from::<MANY>(data, items, members, whole_curve, start);
        } else {
            decode_ed25519_from::<FEW>(data, items, members, whole_curve, start);
        }
    }
}

fn decode_ed25519_from<const N: usize>(
    data: &[u8], items: &mut [u8], members: &mut [u8], whole_curve: bool, start: usize
) {
    let (zero, one) = (F::splat(&c::ZERO), F::splat(&c::ONE));
    let (mut numbers, mut tops, mut fit) = ([zero; N], [0; N], [0; N]);
    let rows: [_; N] = std::array::from_fn(|k| eight(start + 8 * k, members.len()));
    for k in 0..N {
        (numbers[k], tops[k], fit[k]) = load_numbers(data, &rows[k]);
    }
    let (points, mut masks) = decode_ed25519_vectors(&numbers, tops);
    if !whole_curve {
        let (mut x, mut y) = (numbers, numbers);
        for k in 0..N {
            [x[k], y[k], _] = points[k];
        }
        let free = torsion_free_vectors(&x, &y);
        for k in 0..N {
            masks[k] &= (free[k] & !x[k].zero()) | (x[k].zero() & y[k].same(&one));
        }
    }
    for k in 0..N {
        store_decoded(&points[k], masks[k] & fit[k], &rows[k], items, members);
    }
}

/// Where items have order L or 1.
pub fn torsion_free(items: &[u8], output: &mut [u8]) {
    let inverses = inverses_of_z(items);
    for start in (0..output.len()).step_by(GROUP) {
        if output.len() - start > 8 * FEW {
            torsion_free_from::<MANY>(items, &inverses, output, start);
        } else {
            torsion_free_from::<FEW>(items, &inverses, output, start);
        }
    }
}

fn torsion_free_from<const N: usize>(items: &[u8], inverses: &[[F; 2]], output: &mut [u8], start: usize) {
    let one = F::splat(&c::ONE);
    let (mut x, mut y) = ([one; N], [one; N]);
    let rows: [_; N] = std::array::from_fn(|k| eight(start + 8 * k, output.len()));
    for k in 0..N {
        let point = load_items(items, &rows[k]);
        let inverse = inverses.get(start / 16 + k / 2).map_or(one, |pair| pair[k % 2]);
        x[k] = point[0].mul(&inverse).carry().canonical();
        y[k] = point[1].mul(&inverse).carry().canonical();
    }
    let free = torsion_free_vectors(&x, &y);
    for k in 0..N {
        store_mask(output, &rows[k], (free[k] & !x[k].zero()) | (x[k].zero() & y[k].same(&one)));
    }
}

/// Where 8 times an item is the identity.
pub fn small_order(items: &[u8], output: &mut [u8]) {
    let count = output.len();
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let point = doublings(&load_points(items, &rows), 3);
        // X = 0 and Y = Z
        let x = point.plus.sub(&point.minus).carry().canonical();
        let y = point.plus.add(&point.minus).carry();
        let rest = y.sub(&point.z.add(&point.z).carry()).carry().canonical();
        store_mask(output, &rows, x.zero() & rest.zero());
    }
}

#[inline]
fn store_mask(output: &mut [u8], rows: &[usize; 8], mask: Mask) {
    for lane in 0..8 {
        if rows[lane] != NONE {
            output[rows[lane]] = mask >> lane & 1;
        }
    }
}

/// Where two arrays, of which one may be a single row, hold the same elements: of ristretto255 (X1 Y2 = Y1 X2 or
/// Y1 Y2 = X1 X2) or of the curve.
pub fn equal(a: &[u8], b: &[u8], output: &mut [u8], ristretto: bool) {
    let count = output.len();
    for start in (0..count).step_by(8) {
        let rows = eight(start, count);
        let rows_a = if a.len() == ITEM { [0; 8] } else { rows };
        let rows_b = if b.len() == ITEM { [0; 8] } else { rows };
        let ([x1, y1, z1, _], [x2, y2, z2, _]) = (load_items(a, &rows_a), load_items(b, &rows_b));
        let mask = if ristretto {
            let first = x1.mul(&y2).sub(&y1.mul(&x2)).carry().canonical().zero();
            first | y1.mul(&y2).sub(&x1.mul(&x2)).carry().canonical().zero()
        } else {
            let first = x1.mul(&z2).sub(&x2.mul(&z1)).carry().canonical().zero();
            first & y1.mul(&z2).sub(&y2.mul(&z1)).carry().canonical().zero()
        };
        store_mask(output, &rows, mask);
    }
}

/// RFC 9496, section 4.3.4.
fn map_vectors<const N: usize>(t: &[F; N]) -> [Point; N] {
    let (one, zero) = (F::splat(&c::ONE), F::splat(&c::ZERO));
    let (i, d) = (F::splat(&c::SQRT_M1), F::splat(&c::D));
    let minus_one = F::splat(&c::MINUS_ONE);
    let (mut r, mut u, mut v, mut w) = ([zero; N], [zero; N], [zero; N], [zero; N]);
    for k in 0..N {
        r[k] = t[k].square().carry().mul(&i).carry();
        u[k] = r[k].add(&one).carry().mul(&F::splat(&c::ONE_MINUS_D_SQUARED)).carry();
        let left = minus_one.wide().sub(&r[k].mul(&d)).carry();
        v[k] = left.mul(&r[k].add(&d).carry()).carry();
        // u v, whose inverse root times u is a root of u/v
        w[k] = u[k].mul(&v[k]).carry();
    }
    let (root, squares, checks) = inverse_roots(&w);
    std::array::from_fn(|k| {
        let square = squares[k] | u[k].canonical().zero();
        // (u r)^2 = (u v r^2) u/v, which is u/v, or i u/v, or else -i u/v = i u/v / i^2.
        let s = u[k].mul(&root[k]).carry();
        let s = s.select(checks[k].same(&F::splat(&c::MINUS_SQRT_M1)), &s.mul(&i).carry());
        let s = s.canonical();
        let s = s.select(s.odd(), &s.neg().carry().canonical());
        // Minus the even one of s t and -s t.
        let turned = s.mul(&t[k]).carry().canonical();
        let turned = turned.select(!turned.odd(), &turned.neg().carry().canonical());
        let s = turned.select(square, &s);
        let c = r[k].select(square, &minus_one);
        let n = r[k].sub(&one).carry().mul(&c).carry().mul(&F::splat(&c::D_MINUS_ONE_SQUARED));
        let n = n.sub(&v[k].wide()).carry();
        let s2 = s.square();
        let w0 = s.add(&s).carry().mul(&v[k]).carry();
        let w1 = n.mul(&F::splat(&c::SQRT_AD_MINUS_ONE)).carry();
        let (w2, w3) = (one.wide().sub(&s2).carry(), one.wide().add(&s2).carry());
        from_coordinates(&[
            w0.mul(&w3).carry(),
            w2.mul(&w1).carry(),
            w1.mul(&w3).carry(),
            w0.mul(&w2).carry(),
        ])
    })
}

/// Rows of 64 uniform bytes to elements; `doubled` times 2^doubled.
pub fn from_uniform(data: &[u8], output: &mut [u8], doubled: usize) {
    let count = output.len() / ITEM;
    for start in (0..count).step_by(4 * MANY) {
        if count - start > 4 * FEW {
            from_uniform_from::<MANY>(data, output, doubled, start);
        } else {
            from_uniform_from::<FEW>(data, output, doubled, start);
        }
    }
}

/// N/2 vectors of elements, of which each is a sum.
fn from_uniform_from<const N: usize>(data: &[u8], output: &mut [u8], doubled: usize, start: usize) {
    let mut numbers = [F::splat(&c::ZERO); N];
    let rows: [_; N] = std::array::from_fn(|k| eight(start + 8 * (k / 2), output.len() / ITEM));
    for k in 0..N {
        let halves = rows[k].map(|row| if row == NONE { NONE } else { 2 * row + k % 2 });
        (numbers[k], _, _) = load_numbers(data, &halves);
    }
    for (k, pair) in map_vectors(&numbers).chunks_exact(2).enumerate() {
        let mut sum = add(&pair[0], &cached(&pair[1]));
        if doubled > 0 {
            sum = doublings(&sum, doubled);
        }
        store_points(output, &rows[2 * k], &sum);
    }
}

/// Blocks of 30 bytes to items, by the same work for every block, and where there is one: s is
/// block 2^9 + 2 counter with the first counter from 1 to 192 that makes it an encoding.
pub fn embed(blocks: &[u8], items: &mut [u8], found: &mut [u8]) {
    let count = found.len();
    let mut encodings = vec![0; 32 * count];
    for (block, encoding) in blocks.chunks_exact(BLOCK).zip(encodings.chunks_exact_mut(32)) {
        let mut candidates = [0; GROUP * 32];
        let mut chosen = 0u64;
        for group in (0..CANDIDATES / GROUP as u64).rev() {
            let first = group * GROUP as u64 + 1;
            for (k, row) in candidates.chunks_exact_mut(32).enumerate() {
                write_candidate(block, first + k as u64, row);
            }
            let mask = encodings_among(&candidates);
            let some = ((mask != 0) as u64).wrapping_neg();
            chosen ^= some & (chosen ^ (first + (mask | 1 << GROUP).trailing_zeros() as u64));
        }
        // 0 is no encoding's counter but is one's number perhaps; the mask below says so.
        write_candidate(block, chosen, encoding);
    }
    decode_ristretto(&encodings, items, found);
    let identity = super::super::rows::identity_item();
    for ((encoding, found), item) in encodings.chunks_exact(32).zip(found).zip(items.chunks_exact_mut(ITEM)) {
        let none = encoding[0] == 0 && encoding[1] & 1 == 0;
        if none {
            *found = 0;
            item.copy_from_slice(&identity);
        }
    }
}

/// Which of a group of candidates are encodings of elements.
fn encodings_among(candidates: &[u8; GROUP * 32]) -> u64 {
    let mut numbers = [F::splat(&c::ZERO); MANY];
    for k in 0..MANY {
        (numbers[k], _, _) = load_numbers(candidates, &eight(8 * k, GROUP));
    }
    let (_, masks) = decode_vectors(&numbers);
    let mut among = 0;
    for k in 0..MANY {
        among |= (masks[k] as u64) << (8 * k);
    }
    among
}

fn write_candidate(block: &[u8], counter: u64, row: &mut [u8]) {
    let mut carried = (2 * counter) as u16;
    row[0] = carried as u8;
    carried >>= 8;
    for (place, &byte) in row[1..31].iter_mut().zip(block) {
        let shifted = (byte as u16) << 1 | carried;
        *place = shifted as u8;
        carried = shifted >> 8;
    }
    row[31] = carried as u8;
}

/// The blocks that `embed` made items of, and where there are such; time depends on the items.
pub fn extract(items: &[u8], blocks: &mut [u8], found: &mut [u8]) {
    let count = found.len();
    let mut encodings = vec![0; 32 * count];
    encode_ristretto(items, &mut encodings);
    // No lower counter serves: which items to ask about which.
    let mut questions = Vec::new();
    for (row, encoding) in encodings.chunks_exact(32).enumerate() {
        let block = &mut blocks[BLOCK * row..][..BLOCK];
        for (k, byte) in block.iter_mut().enumerate() {
            *byte = encoding[k + 1] >> 1 | encoding[k + 2] << 7;
        }
        let counter = (encoding[0] as u64 | (encoding[1] as u64 & 1) << 8) >> 1;
        found[row] = (encoding[31] < 2 && (1..=CANDIDATES).contains(&counter)) as u8;
        if found[row] == 1 {
            questions.extend((1..counter).map(|lower| (row, lower)));
        }
    }
    for some in questions.chunks(GROUP) {
        let mut candidates = [0; GROUP * 32];
        for (&(row, counter), candidate) in some.iter().zip(candidates.chunks_exact_mut(32)) {
            write_candidate(&blocks[BLOCK * row..][..BLOCK], counter, candidate);
        }
        let among = encodings_among(&candidates);
        for (k, &(row, _)) in some.iter().enumerate() {
            found[row] &= !(among >> k) as u8 & 1;
        }
    }
    for (block, found) in blocks.chunks_exact_mut(BLOCK).zip(found) {
        if *found == 0 {
            block.fill(0);
        }
    }
}
}
