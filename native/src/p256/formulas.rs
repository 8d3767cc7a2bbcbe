//! Points in lanes: formulas, and the steps that the loops of `bulk` are made of.
//!
//! Three forms. `Point`: homogeneous, x = X/Z and y = Y/Z, Z = 0 and Y != 0 for the identity; the complete formulas
//! of Renes, Costello and Batina ("Complete addition formulas for prime order elliptic curves", 2016, algorithms
//! 4 and 5, a = -3) add any two points by the same operations. `Affine`: any point but the identity. `Sums`:
//! x = X/ZZ and y = Y/ZZZ, ZZ^3 = ZZZ^2, for sums of many affine points ("madd-2008-s" of the
//! explicit-formulas database), which are 23 % cheaper and wrong where the points are equal or opposite: whoever
//! uses them shows that this does not happen, or sees it happen.
//!
//! Limits "k" are those of `Field`. Coordinates of all forms have k < 2.

use super::field::{Field, Words, power};

#[derive(Clone, Copy)]
pub struct Point<F> {
    pub x: F,
    pub y: F,
    pub z: F,
}

#[derive(Clone, Copy)]
pub struct Affine<F> {
    pub x: F,
    pub y: F,
}

#[derive(Clone, Copy)]
pub struct Sums<F> {
    pub x: F,
    pub y: F,
    pub zz: F,
    pub zzz: F,
}

/// Bytes of an item: x, y, z, each four words.
pub const ITEM: usize = 96;

impl<F: Field> Point<F> {
    pub const IDENTITY: Self = Point {
        x: F::ZERO,
        y: F::ONE,
        z: F::ZERO,
    };
}

/// Which lanes, below `count`.
pub fn lanes(count: usize) -> u8 {
    ((1u16 << count.min(8)) - 1) as u8
}

/// Kernels: functions that are generic in the field, each compiled once for each field, there with all its
/// instructions at hand, and called from the loops of `bulk`, which know no instructions.
macro_rules! kernels {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? $body:block)*) => {
        pub trait Kernels<F: Field>: Field {
            $(fn $name($($arg: $type),*) $(-> $result)?;)*
        }

        mod generic {
            use super::*;
            $($(#[$meta])*
            #[inline(always)]
            pub fn $name<F: Field>($($arg: $type),*) $(-> $result)? $body)*
        }

        #[cfg(target_arch = "x86_64")]
        mod ifma {
            use super::*;
            type F = super::super::ifma::Eight;
            impl Kernels<F> for F {
                $(fn $name($($arg: $type),*) $(-> $result)? {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
                    #[inline(never)]
                    fn inner($($arg: $type),*) $(-> $result)? {
                        generic::$name::<F>($($arg),*)
                    }
                    // SAFETY: this field is chosen only where `crate::mode` found the instructions.
                    unsafe { inner($($arg),*) }
                })*
            }
        }

        mod portable {
            use super::*;
            type F = super::super::portable::One;
            impl Kernels<F> for F {
                $(#[inline(never)]
                fn $name($($arg: $type),*) $(-> $result)? {
                    generic::$name::<F>($($arg),*)
                })*
            }
        }
    };
}

/// a + b for points with t0 = X1 X2, t1 = Y1 Y2, t2 = Z1 Z2, t3 = X1 Y2 + X2 Y1, t4 = Y1 Z2 + Y2 Z1 and
/// t5 = X1 Z2 + X2 Z1, where t0, t1 <= 1.25, t2 <= 2, others <= 5; makes k < 1.7.
#[inline(always)]
fn finish<F: Field>(t0: &F, t1: &F, t2: &F, t3: &F, t4: &F, t5: &F) -> Point<F> {
    let b2 = F::B.mul(t2); // 1.13
    let z = F::folded::<1, -3, 3, 15>(&[t1, t5, &b2]);
    let x = F::folded::<1, 3, -3, 4>(&[t1, t5, &b2]);
    let b5 = F::B.mul(t5); // 1.32
    let y = F::folded::<3, -9, -3, 22>(&[&b5, t2, t0]);
    let less_y = F::folded::<-3, 9, 3, 4>(&[&b5, t2, t0]);
    let d = F::folded::<3, -3, 0, 6>(&[t0, t2]);
    Point {
        x: F::dual(t3, &x, t4, &less_y),
        y: F::dual(&x, &z, &d, &y),
        z: F::dual(t4, &z, t3, &d),
    }
}

#[inline(always)]
fn sum_points<F: Field>(a: &Point<F>, b: &Point<F>) -> Point<F> {
    let plus = |a: &F, b: &F| F::sum::<1, 1, 0, 0>(&[a, b]);
    let (t0, t1, t2) = (a.x.mul(&b.x), a.y.mul(&b.y), a.z.mul(&b.z)); // 1.25
    let cross = |a1: &F, a2: &F, b1: &F, b2: &F, t: &F, u: &F| {
        let product = plus(a1, a2).mul(&plus(b1, b2)); // 2
        F::sum::<1, -1, -1, 3>(&[&product, t, u]) // 5
    };
    let t3 = cross(&a.x, &a.y, &b.x, &b.y, &t0, &t1);
    let t4 = cross(&a.y, &a.z, &b.y, &b.z, &t1, &t2);
    let t5 = cross(&a.x, &a.z, &b.x, &b.z, &t0, &t2);
    finish(&t0, &t1, &t2, &t3, &t4, &t5)
}

#[inline(always)]
fn sum_mixed<F: Field>(a: &Point<F>, b: &Affine<F>) -> Point<F> {
    let plus = |a: &F, b: &F| F::sum::<1, 1, 0, 0>(&[a, b]);
    let (t0, t1) = (a.x.mul(&b.x), a.y.mul(&b.y));
    let product = plus(&a.x, &a.y).mul(&plus(&b.x, &b.y));
    let t3 = F::sum::<1, -1, -1, 3>(&[&product, &t0, &t1]);
    let t4 = plus(&b.y.mul(&a.z), &a.y); // 3.25
    let t5 = plus(&b.x.mul(&a.z), &a.x);
    finish(&t0, &t1, &a.z, &t3, &t4, &t5)
}

#[inline(always)]
fn choose<F: Field>(mask: u8, a: &Point<F>, b: &Point<F>) -> Point<F> {
    Point {
        x: F::select(mask, &a.x, &b.x),
        y: F::select(mask, &a.y, &b.y),
        z: F::select(mask, &a.z, &b.z),
    }
}

/// Where a = +-b, the first of the results is not zero modulo p in the lanes where the sum is right, and may be
/// wrong about others. X <= 1.25, ZZ, ZZZ and b below 2; makes X <= 1.01.
#[inline(always)]
fn sum_incomplete<F: Field>(a: &Sums<F>, b: &Affine<F>) -> (F, Sums<F>) {
    let (u, s) = (b.x.mul(&a.zz), b.y.mul(&a.zzz)); // 1.25
    let h = F::sum::<1, -1, 0, 2>(&[&u, &a.x]); // 3.25
    let r = F::sum::<1, -1, 0, 2>(&[&s, &a.y]); // 3.25
    let hh = h.sqr(); // 1.67
    let hhh = h.mul(&hh); // 1.34
    let v = a.x.mul(&hh); // 1.14
    let x = F::folded::<1, -1, -2, 4>(&[&r.sqr(), &hhh, &v]);
    let w = F::sum::<1, -1, 0, 2>(&[&v, &x]); // 3.14
    let less_y = F::sum::<-1, 0, 0, 2>(&[&a.y]); // 2
    let y = F::dual(&r, &w, &less_y, &hhh); // 1.81
    let sums = Sums {
        x,
        y,
        zz: a.zz.mul(&hh),
        zzz: a.zzz.mul(&hhh),
    };
    (hh, sums)
}

#[inline(always)]
fn sums_to_point<F: Field>(a: &Sums<F>) -> Point<F> {
    Point {
        x: a.x.mul(&a.zzz),
        y: a.y.mul(&a.zz),
        z: a.zz.mul(&a.zzz),
    }
}

#[inline(always)]
fn affine_to_sums<F: Field>(a: &Affine<F>) -> Sums<F> {
    Sums {
        x: a.x,
        y: a.y,
        zz: F::ONE,
        zzz: F::ONE,
    }
}

/// -y in the lanes of the mask.
#[inline(always)]
fn negated<F: Field>(mask: u8, y: &F) -> F {
    F::select(mask, y, &F::sum::<-1, 0, 0, 2>(&[y]))
}

/// As many rows as there are lanes, from `data`, the positions in rows; parts are 32 bytes.
#[inline(always)]
fn read<F: Field>(data: &[u8], at: &[usize; 8], row: usize, part: usize) -> Words {
    F::gather(at.map(|i| data[i * row + 32 * part..][..32].try_into().unwrap()))
}

#[inline(always)]
fn read_point<F: Field>(data: &[u8], at: &[usize; 8]) -> Point<F> {
    let number = |k| F::thaw(&read::<F>(data, at, ITEM, k));
    Point {
        x: number(0),
        y: number(1),
        z: number(2),
    }
}

#[inline(always)]
fn write<F: Field>(words: &Words, data: &mut [u8], row: usize, part: usize) {
    for (bytes, row) in F::scatter(words)
        .iter()
        .zip(data.chunks_exact_mut(row).take(F::LANES))
    {
        row[32 * part..][..32].copy_from_slice(bytes);
    }
}

/// y^2 = x^3 - 3 x + b; x <= 2, makes k <= 1.01.
#[inline(always)]
fn right_side<F: Field>(x: &F) -> F {
    let cube = x.sqr().mul(x);
    F::folded::<1, -3, 1, 6>(&[&cube, x, &F::B])
}

/// The lanes where a = b, both of k <= 2.
#[inline(always)]
fn same<F: Field>(a: &F, b: &F) -> u8 {
    // One product brings what has k = 4 to k < 2, and 0 to 0.
    F::sum::<1, -1, 0, 2>(&[a, b]).mul(&F::ONE).zeros()
}

/// x, x^3 - 3 x + b, and its root if there is one.
#[inline(always)]
fn roots<F: Field>(words: &[Words; 2]) -> ([F; 2], [F; 2], [F; 2]) {
    let x = [F::raw(&words[0]).mul(&F::ENTER), F::raw(&words[1]).mul(&F::ENTER)];
    let square = [right_side(&x[0]), right_side(&x[1])];
    let mut root = power(&square);
    for i in 0..2 {
        root[i] = root[i].mul(&square[i]);
    }
    (x, square, root)
}

#[inline(always)]
fn odd<F: Field>(words: &Words) -> u8 {
    let low = words.0[0].map(|x| x & 1);
    F::equal_lanes(&low, 1)
}

/// x = `first` / `below` or z u^2 times that, whichever has a y.
struct Fraction<F> {
    u: F,
    zu: F,
    first: F,
    below: F,
    /// Of the right side.
    numerator: F,
    denominator: F,
    product: F,
    radicand: F,
}

#[inline(always)]
fn fraction<F: Field>(low: &Words, high: &Words) -> Fraction<F> {
    let u = F::dual(&F::raw(low), &F::ENTER, &F::raw(high), &F::ENTER_256);
    let zu = F::Z.mul(&u.sqr());
    let t2 = F::sum::<1, 1, 0, 0>(&[&zu.sqr(), &zu]).mul(&F::ONE);
    let first = F::B.mul(&F::sum::<1, 1, 0, 0>(&[&t2, &F::ONE]));
    let less = F::sum::<-1, 0, 0, 2>(&[&t2]);
    let below = F::folded::<-3, 0, 0, 6>(&[&F::select(t2.zeros(), &less, &F::Z)]);
    let square = below.sqr();
    let inner = F::sum::<1, -3, 0, 6>(&[&first.sqr(), &square]);
    let denominator = square.mul(&below);
    let numerator = F::dual(&inner, &first, &F::B, &denominator);
    let product = numerator.mul(&denominator);
    let radicand = denominator.sqr().mul(&product);
    Fraction {
        u,
        zu,
        first,
        below,
        numerator,
        denominator,
        product,
        radicand,
    }
}

impl<F: Field> Fraction<F> {
    /// With power(radicand): the root of numerator / denominator, or of -z times that.
    #[inline(always)]
    fn point(&self, power: &F) -> Point<F> {
        let y1 = power.mul(&self.product);
        let y2 = y1.mul(&F::ROOT_10);
        let square = same(&y1.sqr().mul(&self.denominator), &self.numerator.mul(&F::ONE));
        let x = F::select(square, &self.zu.mul(&self.first), &self.first);
        let y = F::select(square, &self.zu.mul(&self.u).mul(&y2), &y1);
        let y = negated(odd::<F>(&self.u.leave()) ^ odd::<F>(&y.leave()), &y);
        Point {
            x,
            y: y.mul(&self.below),
            z: self.below,
        }
    }
}

/// The entry of a window of a fixed base's table, or its inverse.
#[inline(always)]
fn entry<F: Field>(window: &[u64], index: &[u64; 8], negative: u8) -> Affine<F> {
    let (x, y) = window.split_at(window.len() / 2);
    Affine {
        x: F::look_up(x, index),
        y: negated(negative, &F::look_up(y, index)),
    }
}

kernels! {
    /// Lanes from rows of `data`; constant time.
    fn load(data: &[u8], at: &[usize; 8], out: &mut Point<F>) {
        *out = read_point(data, at);
    }

    /// Lanes to consecutive rows, as far as these go.
    fn store(a: &Point<F>, data: &mut [u8]) {
        for (part, number) in [&a.x, &a.y, &a.z].into_iter().enumerate() {
            write::<F>(&number.freeze(), data, ITEM, part);
        }
    }

    /// a += b; complete, constant time. 11 multiplications and 3 dual ones.
    fn add(a: &mut Point<F>, b: &Point<F>) {
        *a = sum_points(a, b);
    }

    /// a += b; complete, constant time.
    fn add_affine(a: &mut Point<F>, b: &Affine<F>) {
        *a = sum_mixed(a, b);
    }

    /// a + the lanes of b that the mask names; complete, constant time.
    fn add_masked(a: &mut Point<F>, b: &Point<F>, mask: u8) {
        *a = choose(mask, a, &sum_points(a, b));
    }

    /// Two chains of products, for measurements.
    fn bench_mul(a: &mut F, b: &mut F) {
        (*a, *b) = (a.mul(a), b.mul(b));
    }

    /// a where the mask says so, else the identity.
    fn keep(a: &mut Point<F>, mask: u8) {
        *a = choose(mask, &Point::IDENTITY, a);
    }

    fn negate(a: &mut Point<F>, mask: u8) {
        a.y = F::folded::<1, 0, 0, 0>(&[&negated(mask, &a.y)]);
    }

    /// a = 2^count a; constant time. Jacobian in between ("dbl-2001-b"), which has no exceptions here: there is
    /// no point with y = 0, and Z = 0 stays so. 3 squares, 3 multiplications and a dual one each.
    fn double(a: &mut Point<F>, count: usize) {
        let (mut x, mut y, mut z) = (a.x.mul(&a.z), a.y.mul(&a.z.sqr()), a.z);
        for _ in 0..count {
            let (delta, gamma) = (z.sqr(), y.sqr()); // 1.25
            let beta = x.mul(&gamma); // 1.16
            let difference = F::sum::<1, -1, 0, 2>(&[&x, &delta]); // 4
            let product = difference.mul(&F::sum::<1, 1, 0, 0>(&[&x, &delta])); // 1.82
            let alpha = F::folded::<3, 0, 0, 0>(&[&product]);
            x = F::folded::<1, -8, 0, 10>(&[&alpha.sqr(), &beta]);
            z = F::sum::<2, 0, 0, 0>(&[&y]).mul(&z); // 1.5
            let w = F::sum::<4, -1, 0, 2>(&[&beta, &x]); // 6.7
            let g = F::folded::<-8, 0, 0, 10>(&[&gamma]);
            y = F::dual(&alpha, &w, &gamma, &g); // 1.5
        }
        let cube = z.sqr().mul(&z);
        // The identity has become (0, 0, 0).
        *a = Point { x: x.mul(&z), y: F::select(cube.zeros(), &y, &F::ONE), z: cube };
    }

    /// The lanes where a = b.
    fn equal(a: &Point<F>, b: &Point<F>) -> u8 {
        same(&a.x.mul(&b.z), &b.x.mul(&a.z)) & same(&a.y.mul(&b.z), &b.y.mul(&a.z))
    }

    /// The multiple of each lane's table, digit -16 .. 16; constant time: all entries are read. table[i] = i + 1.
    fn pick(table: &[Point<F>], digits: &[i8; 8], out: &mut Point<F>) {
        let absolute = digits.map(|d| d.unsigned_abs() as u64);
        let negative = digits.map(|d| (d as u8 >> 7) as u64);
        let mut found = Point::IDENTITY;
        for (i, entry) in table.iter().enumerate() {
            found = choose(F::equal_lanes(&absolute, i as u64 + 1), &found, entry);
        }
        found.y = negated(F::equal_lanes(&negative, 1), &found.y);
        *out = found;
    }

    // -- affine coordinates ------------------------------------------------------------------------

    /// before = product; product *= z, or 1 for zero; constant time.
    fn gather_inverse(z: &F, product: &mut F, before: &mut F) {
        *before = *product;
        *product = product.mul(&F::select(z.zeros(), z, &F::ONE));
    }

    fn invert_number(a: &mut F) {
        *a = power(&[*a])[0].sqr().sqr().mul(a);
    }

    /// To affine, by the inverse of the product up to here, which becomes that of the product before; gives the
    /// lanes of the identity, which have no meaning.
    fn take_inverse(a: &Point<F>, inverse: &mut F, before: &F, out: &mut Affine<F>) -> u8 {
        let zero = a.z.zeros();
        let own = inverse.mul(before);
        *inverse = inverse.mul(&F::select(zero, &a.z, &F::ONE));
        *out = Affine { x: a.x.mul(&own), y: a.y.mul(&own) };
        zero
    }

    /// Affine lanes to rows of x and y, frozen.
    fn store_affine(a: &Affine<F>, data: &mut [[u64; 4]]) {
        let (x, y) = (a.x.freeze(), a.y.freeze());
        for (lane, row) in data.chunks_exact_mut(2).take(F::LANES).enumerate() {
            row[0] = x.lane(lane);
            row[1] = y.lane(lane);
        }
    }

    fn leave_affine(a: &Affine<F>, x: &mut Words, y: &mut Words) {
        *x = a.x.leave();
        *y = a.y.leave();
    }

    // -- numbers to points ---------------------------------------------------------------------------

    /// The points with x below p and the given parity of y, two blocks of them, and the lanes where there is one.
    fn lift(x: &[Words; 2], parity: [u8; 2], out: &mut [Point<F>; 2]) -> [u8; 2] {
        let mut found = [0; 2];
        let (x, square, root) = roots::<F>(x);
        for i in 0..2 {
            found[i] = same(&root[i].sqr(), &square[i]) & !root[i].zeros();
            let y = negated(odd::<F>(&root[i].leave()) ^ parity[i], &root[i]);
            let point = Point { x: x[i], y: F::folded::<1, 0, 0, 0>(&[&y]), z: F::ONE };
            out[i] = choose(found[i], &Point::IDENTITY, &point);
        }
        found
    }

    /// Only whether there are such points; constant time.
    fn lifts(x: &[Words; 2]) -> [u8; 2] {
        let (_, square, root) = roots::<F>(x);
        let mut found = [0; 2];
        for i in 0..2 {
            found[i] = same(&root[i].sqr(), &square[i]) & !root[i].zeros();
        }
        found
    }

    /// Jacobian coordinates to lanes; any words.
    fn from_jacobian(x: &Words, y: &Words, z: &Words, out: &mut Point<F>) {
        let [x, y, z] = [x, y, z].map(|number| F::raw(number).mul(&F::ENTER));
        let cube = z.sqr().mul(&z);
        let point = Point { x: x.mul(&z), y, z: cube };
        *out = choose(cube.zeros(), &point, &Point::IDENTITY);
    }

    fn to_jacobian(a: &Point<F>, x: &mut Words, y: &mut Words, z: &mut Words) {
        let zero = a.z.zeros();
        *x = F::select(zero, &a.x.mul(&a.z), &F::ONE).leave();
        *y = F::select(zero, &a.y.mul(&a.z.sqr()), &F::ONE).leave();
        *z = a.z.leave();
    }

    /// RFC 9380's simplified SWU map, appendix F.2, of low + 2^256 high modulo p, two blocks; constant time.
    fn map_to_curve(low: &[Words; 2], high: &[Words; 2], out: &mut [Point<F>; 2]) {
        let (a, b) = (fraction::<F>(&low[0], &high[0]), fraction::<F>(&low[1], &high[1]));
        let y = power(&[a.radicand, b.radicand]);
        *out = [a.point(&y[0]), b.point(&y[1])];
    }

    // -- fixed bases ---------------------------------------------------------------------------------

    /// The sum of one entry of each window for a lane's number of odd digits, for the last window: see `bulk::Table`.
    /// All entries are read. `windows` are planes of x and y; there is at least one window.
    fn fixed(windows: &[u64], index: &[[u64; 8]], negative: &[u8], out: &mut Point<F>) {
        let mut windows = windows.chunks_exact(10 << (F::WINDOW - 1)).zip(index).zip(negative);
        let Some(((first, index), &negative)) = windows.next() else { return };
        let mut total = affine_to_sums(&entry(first, index, negative));
        let last = windows.next_back();
        for ((window, index), &negative) in windows {
            (_, total) = sum_incomplete(&total, &entry(window, index, negative));
        }
        *out = sums_to_point(&total);
        if let Some(((window, index), &negative)) = last {
            *out = sum_mixed(out, &entry(window, index, negative));
        }
    }

    // -- buckets -------------------------------------------------------------------------------------

    /// buckets[at[i]] += base or its inverse, for each lane i; time depends on the values. A bucket of zeros
    /// is empty. Lanes where the sum is incomplete go by the complete formula.
    fn into_buckets(buckets: &mut [[u64; 20]], at: &[usize; 8], negative: u8, base: &[[u64; 5]; 2]) {
        let ([x, y, zz, zzz], full) = F::read_rows(at.map(|i| &buckets[i]));
        let bucket = Sums { x, y, zz, zzz };
        let y = F::splat(&base[1]);
        let base = Affine { x: F::splat(&base[0]), y: negated(negative, &y) };
        let (h, mut total) = sum_incomplete(&bucket, &base);
        let first = affine_to_sums(&base);
        total = Sums {
            x: F::select(full, &first.x, &total.x),
            y: F::select(full, &first.y, &total.y),
            zz: F::select(full, &first.zz, &total.zz),
            zzz: F::select(full, &first.zzz, &total.zzz),
        };
        let mut filled = lanes(F::LANES);
        let doubtful = h.maybe_zeros() & full;
        if doubtful != 0 {
            let a = sum_mixed(&sums_to_point(&bucket), &base);
            let zz = a.z.sqr();
            filled &= !(doubtful & a.z.zeros());
            total = Sums {
                x: F::select(doubtful, &total.x, &a.x.mul(&a.z)),
                y: F::select(doubtful, &total.y, &a.y.mul(&zz)),
                zz: F::select(doubtful, &total.zz, &zz),
                zzz: F::select(doubtful, &total.zzz, &zz.mul(&a.z)),
            };
        }
        F::write_rows(&[total.x, total.y, total.zz, total.zzz], filled, buckets, at);
    }

    /// Buckets as points.
    fn from_buckets(buckets: &[[u64; 20]], at: &[usize; 8], out: &mut Point<F>) {
        let ([x, y, zz, zzz], full) = F::read_rows(at.map(|i| &buckets[i]));
        *out = choose(full, &Point::IDENTITY, &sums_to_point(&Sums { x, y, zz, zzz }));
    }
}
