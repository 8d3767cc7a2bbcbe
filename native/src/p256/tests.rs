//! Both fields against num-bigint and against the p256 crate.

use num_bigint::BigUint;
use p256::elliptic_curve::group::GroupEncoding;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::{AffinePoint, ProjectivePoint, Scalar};

use super::bulk::{self, Lanes};
use super::field::Words;
use super::formulas::ITEM;
use super::multiexp;
use super::portable::One;
use super::powers;

#[cfg(target_arch = "x86_64")]
use super::ifma::Eight;

/// Each test once for each field that this processor can work with.
macro_rules! both {
    ($($name:ident)*) => {
        $(
            mod $name {
                #[test]
                fn portable() {
                    super::$name::<super::One>();
                }

                #[cfg(target_arch = "x86_64")]
                #[test]
                fn ifma() {
                    if crate::mode() == "ifma" {
                        super::$name::<super::Eight>();
                    }
                }
            }
        )*
    };
}

both! {
    field_arithmetic field_inputs_at_limits roots group_laws encodings rejects encodes_what_it_decodes
    numbers powers_of_all_kinds tables products_of_rows sums_in_order multiexps repeated_bases shared_bases
    uniform_bytes embeds extracts_nothing_else
}

struct Stream(u64);

impl Stream {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.word() >> 56) as u8).collect()
    }
}

fn hex(text: &str) -> BigUint {
    BigUint::parse_bytes(text.as_bytes(), 16).unwrap()
}

fn prime() -> BigUint {
    hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
}

fn order() -> BigUint {
    hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
}

fn le(x: &BigUint) -> [u8; 32] {
    let mut bytes = x.to_bytes_le();
    bytes.resize(32, 0);
    bytes.try_into().unwrap()
}

fn four(x: &BigUint) -> [u64; 4] {
    let bytes = le(x);
    [0, 1, 2, 3].map(|i| u64::from_le_bytes(bytes[8 * i..][..8].try_into().unwrap()))
}

fn big(words: [u64; 4]) -> BigUint {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    BigUint::from_bytes_le(&bytes)
}

fn filled(size: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut out = vec![0x5a; size];
    fill(&mut out);
    out
}

/// Numbers below 2^256 that carries find hard, then random ones.
fn delicate(stream: &mut Stream) -> Vec<BigUint> {
    let (p, one) = (prime(), BigUint::from(1u8));
    let mut found: Vec<BigUint> = (0u8..4).map(BigUint::from).collect();
    for place in [44, 52, 64, 96, 104, 128, 156, 192, 208, 224, 255] {
        found.extend([&one << place, (&one << place) - 1u8, &p - (&one << place)]);
    }
    found.extend([&p - 1u8, &p - 2u8, &p >> 1, (&p >> 1) + 1u8]);
    found.extend((0..30).map(|_| BigUint::from_bytes_le(&stream.bytes(32)) % &p));
    found
}

/// Lanes of numbers in turn.
fn lanes_of(numbers: &[BigUint]) -> Words {
    let mut words = Words::ZERO;
    (0..8).for_each(|lane| words.set(lane, four(&numbers[lane % numbers.len()])));
    words
}

fn field_arithmetic<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(1);
    let xs = delicate(&mut stream);
    let enter = |i: usize| F::raw(&lanes_of(&xs[i..])).mul(&F::ENTER);
    for i in 0..xs.len() {
        for j in 0..xs.len() {
            let (a, b) = (enter(i), enter(j));
            let results = [
                a.mul(&b).leave(),
                a.sqr().leave(),
                F::dual(&a, &b, &b, &b).leave(),
                F::sum::<1, 1, 0, 0>(&[&a, &b]).leave(),
                F::sum::<1, -1, 0, 2>(&[&a, &b]).leave(),
                F::folded::<-8, 3, 0, 16>(&[&a, &b]).leave(),
                F::folded::<9, -4, 0, 8>(&[&a, &b]).leave(),
            ];
            for lane in 0..F::LANES {
                let pick = |k: usize| &xs[k + lane % (xs.len() - k)];
                let (a, b) = (pick(i), pick(j));
                let expected = [
                    a * b % &p,
                    a * a % &p,
                    (a * b + b * b) % &p,
                    (a + b) % &p,
                    (a + &p - b) % &p,
                    (b * 3u8 + &p * 8u8 - a * 8u8) % &p,
                    (a * 9u8 + &p * 4u8 - b * 4u8) % &p,
                ];
                for (found, expected) in results.iter().zip(expected) {
                    assert_eq!(big(found.lane(lane)), expected);
                }
            }
            let equal = F::sum::<1, -1, 0, 2>(&[&a, &b]).mul(&F::ONE);
            for lane in 0..F::LANES {
                let same = xs[i + lane % (xs.len() - i)] == xs[j + lane % (xs.len() - j)];
                assert_eq!(equal.zeros() >> lane & 1 == 1, same);
                assert!(!same || equal.maybe_zeros() >> lane & 1 == 1);
            }
        }
        let a = enter(i);
        let frozen = a.freeze();
        for lane in 0..F::LANES {
            let x = &xs[i + lane % (xs.len() - i)];
            assert_eq!(big(frozen.lane(lane)), (x << 260) % &p);
            let laid = F::splat(&F::lay(frozen.lane(lane))).leave();
            assert_eq!(&big(laid.lane(0)), x);
        }
        assert_eq!(
            F::thaw(&frozen).leave().0.map(|row| row[0]),
            a.leave().0.map(|row| row[0])
        );
    }
    let b = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    for (constant, value) in [
        (F::ONE, BigUint::from(1u8)),
        (F::B, b),
        (F::Z, &p - 10u8),
        (
            F::ENTER,
            (BigUint::from(1u8) << if F::LANES == 8 { 260 } else { 256 }) % &p,
        ),
        (
            F::ENTER_256,
            (BigUint::from(1u8) << if F::LANES == 8 { 516 } else { 512 }) % &p,
        ),
    ] {
        assert_eq!(big(constant.leave().lane(0)), value);
    }
    assert_eq!(big(F::ROOT_10.sqr().leave().lane(0)), BigUint::from(10u8));
}

/// Values at the ends of what operations promise to take: multiples of p up to 16.
fn field_inputs_at_limits<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(2);
    for x in delicate(&mut stream) {
        let a = F::raw(&lanes_of(std::slice::from_ref(&x))).mul(&F::ENTER);
        let near_15 = F::sum::<-1, 0, 0, 15>(&[&a]); // from above 14 p to 15 p
        let near_7 = F::sum::<-1, 0, 0, 7>(&[&a]);
        assert_eq!(big(near_15.mul(&near_15).leave().lane(0)), &x * &x % &p);
        assert_eq!(big(near_15.sqr().leave().lane(0)), &x * &x % &p);
        let double = F::dual(&near_15, &near_7, &near_7, &near_15);
        assert_eq!(big(double.leave().lane(0)), &x * &x * 2u8 % &p);
        let check = |c: i32, folded: F| {
            let expected = if c > 0 {
                &x * c as u8
            } else {
                &p * 18u8 - &x * (-c) as u8
            } % &p;
            assert_eq!(big(folded.leave().lane(0)), expected);
            // k <= 1.01, so that it can be frozen.
            assert_eq!(big(folded.freeze().lane(0)), (expected << 260) % &p);
        };
        check(9, F::folded::<9, 0, 0, 0>(&[&a]));
        check(-9, F::folded::<-9, 0, 0, 18>(&[&a]));
        check(8, F::folded::<8, 0, 0, 0>(&[&a]));
        check(-8, F::folded::<-8, 0, 0, 127>(&[&a]));
        check(9, F::folded::<9, 0, 0, 100>(&[&a]));
        check(-3, F::folded::<-3, 0, 0, 6>(&[&a]));
        check(1, F::folded::<1, 0, 0, 0>(&[&a]));
        check(4, F::folded::<4, 0, 0, 2>(&[&a]));
        // Sums that are 0 modulo p.
        for zero in [
            F::folded::<1, -1, 0, 2>(&[&a, &a]),
            F::folded::<3, -3, 0, 5>(&[&a, &a]),
            F::folded::<1, -1, 0, 16>(&[&a, &a]),
            F::folded::<1, -1, 0, 100>(&[&a, &a]),
        ] {
            assert_eq!(zero.zeros() & 1, 1);
            assert_eq!(big(zero.leave().lane(0)), BigUint::from(0u8));
        }
        assert_eq!(F::sum::<1, -1, 0, 8>(&[&a, &a]).mul(&a).zeros() & 1, 1);
    }
}

fn roots<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(3);
    for x in delicate(&mut stream) {
        let a = F::raw(&lanes_of(std::slice::from_ref(&x))).mul(&F::ENTER);
        let power = super::field::power(&[a])[0];
        assert_eq!(big(power.leave().lane(0)), x.modpow(&((&p - 3u8) >> 2), &p));
        let mut inverse = a;
        F::invert_number(&mut inverse);
        assert_eq!(big(inverse.leave().lane(0)), x.modpow(&(&p - 2u8), &p));
    }
}

// -- points -------------------------------------------------------------------------------------------

fn scalar(x: &BigUint) -> Scalar {
    let mut bytes = le(x);
    bytes.reverse();
    Scalar::reduce(&p256::FieldBytes::from(bytes))
}

fn encoded(point: &ProjectivePoint) -> Vec<u8> {
    let mut bytes = point.to_affine().to_bytes().to_vec();
    if *point == ProjectivePoint::IDENTITY {
        bytes = vec![0; 33];
    }
    bytes
}

fn items<F: Lanes>(points: &[ProjectivePoint]) -> Vec<u8> {
    let data: Vec<u8> = points.iter().flat_map(encoded).collect();
    let (mut out, mut masks) = (vec![0; points.len() * ITEM], vec![0; points.len()]);
    bulk::decode::<F>(&data, &mut out, &mut masks);
    assert!(masks.iter().all(|&mask| mask == 1));
    out
}

/// The same points with other coordinates.
fn scaled<F: Lanes>(points: &[ProjectivePoint]) -> Vec<u8> {
    let g = ProjectivePoint::GENERATOR;
    let shifted: Vec<_> = points.iter().map(|point| *point + g).collect();
    let back = items::<F>(&[-g]);
    filled(points.len() * ITEM, |out| {
        bulk::multiply::<F>(&items::<F>(&shifted), &back, out)
    })
}

fn read<F: Lanes>(items: &[u8]) -> Vec<u8> {
    filled(items.len() / ITEM * 33, |out| bulk::encode::<F>(items, out))
}

fn expect<F: Lanes>(items: &[u8], points: &[ProjectivePoint]) {
    let found = read::<F>(items);
    assert_eq!(found.len(), 33 * points.len());
    for (i, (found, point)) in found.chunks_exact(33).zip(points).enumerate() {
        assert_eq!(found, encoded(point), "at {i}");
    }
}

fn random_point(stream: &mut Stream) -> ProjectivePoint {
    ProjectivePoint::GENERATOR * scalar(&BigUint::from_bytes_le(&stream.bytes(32)))
}

/// The identity, the generator and its small multiples and inverses, then random points.
fn points(count: usize, stream: &mut Stream) -> Vec<ProjectivePoint> {
    let g = ProjectivePoint::GENERATOR;
    let mut found = vec![
        ProjectivePoint::IDENTITY,
        g,
        -g,
        g + g,
        -(g + g),
        g,
        ProjectivePoint::IDENTITY,
    ];
    while found.len() < count {
        found.push(random_point(stream));
    }
    found.truncate(count);
    found
}

/// Exponents at the ends, at the ends of windows, and random ones of all lengths.
fn exponents() -> Vec<BigUint> {
    let (q, one) = (order(), BigUint::from(1u8));
    let mut found: Vec<BigUint> = (0u8..40).map(BigUint::from).collect();
    found.extend((1u8..40).map(|i| &q - i));
    found.extend([&q >> 1, (&q >> 1) + 1u8, (&q >> 1) - 1u8, (&q >> 1) + 2u8]);
    for place in (4..256).step_by(3) {
        found.extend([
            &one << place,
            (&one << place) - 1u8,
            (&one << place) + 1u8,
            &q - (&one << place),
        ]);
    }
    for digit in [1u8, 15, 16, 17, 31, 64, 127, 128, 129, 255] {
        let all = (0..32).fold(BigUint::from(0u8), |x, _| (x << 8) + digit);
        found.extend([all.clone(), all >> 3]);
    }
    let mut stream = Stream(9);
    for bytes in 1..=32 {
        found.push(BigUint::from_bytes_le(&stream.bytes(bytes)));
    }
    found.retain(|e| *e < q);
    found
}

fn pack(exponents: &[BigUint]) -> Vec<u8> {
    exponents.iter().flat_map(le).collect()
}

fn group_laws<F: Lanes>() {
    let mut stream = Stream(10);
    let some = points(13, &mut stream);
    let (mut a, mut b) = (vec![], vec![]);
    for x in &some {
        for y in &some {
            a.push(*x);
            b.push(*y);
        }
    }
    let sums: Vec<_> = a.iter().zip(&b).map(|(x, y)| x + y).collect();
    let inverses: Vec<_> = a.iter().map(|x| -x).collect();
    let same: Vec<_> = a.iter().zip(&b).map(|(x, y)| (x == y) as u8).collect();
    for (pa, pb) in [
        (items::<F>(&a), items::<F>(&b)),
        (scaled::<F>(&a), scaled::<F>(&b)),
    ] {
        expect::<F>(&filled(pa.len(), |out| bulk::multiply::<F>(&pa, &pb, out)), &sums);
        expect::<F>(&filled(pa.len(), |out| bulk::invert::<F>(&pa, out)), &inverses);
        assert_eq!(filled(a.len(), |out| bulk::equal::<F>(&pa, &pb, out)), same);
        let rolled = scaled::<F>(&b);
        assert_eq!(filled(a.len(), |out| bulk::equal::<F>(&pa, &rolled, out)), same);
    }
    expect::<F>(&bulk::identity::<F>(), &[ProjectivePoint::IDENTITY]);
    expect::<F>(&bulk::generator::<F>(), &[ProjectivePoint::GENERATOR]);
}

fn encodings<F: Lanes>() {
    let mut stream = Stream(11);
    for count in [0, 1, 7, 8, 9, 40, 2051] {
        let some = points(count, &mut stream);
        let data: Vec<u8> = some.iter().flat_map(encoded).collect();
        assert_eq!(read::<F>(&items::<F>(&some)), data);
        assert_eq!(read::<F>(&scaled::<F>(&some)), data);
    }
}

fn rejects<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(12);
    let mut data = vec![];
    let mut xs = delicate(&mut stream);
    xs.extend([
        p.clone(),
        &p + 1u8,
        &p + 5u8,
        (BigUint::from(1u8) << 256) - 1u8,
        BigUint::from(5u8),
    ]);
    for x in &xs {
        let mut bytes = le(x);
        bytes.reverse();
        for prefix in [0, 1, 2, 3, 4, 5, 6, 7, 130, 131, 255] {
            data.push(prefix);
            data.extend(bytes);
        }
    }
    let n = data.len() / 33;
    let (mut out, mut masks) = (vec![0; n * ITEM], vec![0; n]);
    bulk::decode::<F>(&data, &mut out, &mut masks);
    let again = read::<F>(&out);
    let mut good = 0;
    for (i, bytes) in data.chunks_exact(33).enumerate() {
        let bytes: [u8; 33] = bytes.try_into().unwrap();
        let strict = matches!(bytes[0], 2 | 3);
        let known = strict && bool::from(AffinePoint::from_bytes(&bytes.into()).is_some());
        let neutral = bytes == [0; 33];
        assert_eq!(masks[i], (known || neutral) as u8, "{bytes:x?}");
        let kept = if known { &bytes } else { &[0; 33] };
        assert_eq!(&again[33 * i..][..33], kept);
        good += known as usize;
    }
    assert!(good > n / 20 && good < n / 8);
}

fn encodes_what_it_decodes<F: Lanes>() {
    let mut stream = Stream(13);
    let some = points(21, &mut stream);
    for (pa, count) in [(items::<F>(&some), 21), (scaled::<F>(&some), 21)] {
        let keys = filled(count * 8, |out| bulk::log_keys::<F>(&pa, out));
        for (key, point) in keys.chunks_exact(8).zip(&some) {
            let x = encoded(point);
            let expected = x[25..].iter().rev().copied().collect::<Vec<_>>();
            assert_eq!(key, expected);
        }
    }
}

fn numbers<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(14);
    let some = points(19, &mut stream);
    for width in [32, 33, 40] {
        let mut data = vec![];
        for (i, point) in some.iter().enumerate() {
            let affine = point.to_affine().to_sec1_point(false);
            let bytes = affine.as_bytes();
            let z = if i % 3 == 0 {
                BigUint::from(1u8)
            } else {
                BigUint::from_bytes_le(&stream.bytes(32)) % &p
            };
            let coordinates = if bytes.len() == 1 {
                [BigUint::from(1u8), BigUint::from(i / 2), BigUint::from(0u8)]
            } else {
                let x = BigUint::from_bytes_be(&bytes[1..33]) * &z * &z % &p;
                let y = BigUint::from_bytes_be(&bytes[33..]) * &z * &z * &z % &p;
                [x, y, z]
            };
            for number in coordinates {
                data.extend(le(&number));
                data.resize(data.len() + width - 32, 0);
            }
        }
        let made = filled(some.len() * ITEM, |out| {
            bulk::from_numbers::<F>(&data, width, out)
        });
        expect::<F>(&made, &some);
    }
    for given in [items::<F>(&some), scaled::<F>(&some)] {
        let data = filled(some.len() * 96, |out| bulk::to_numbers::<F>(&given, out));
        expect::<F>(
            &filled(given.len(), |out| bulk::from_numbers::<F>(&data, 32, out)),
            &some,
        );
        for (row, point) in data.chunks_exact(96).zip(&some) {
            let [x, y, z] = [0, 1, 2].map(|i| BigUint::from_bytes_le(&row[32 * i..][..32]));
            assert!(x < p && y < p && z < p);
            assert_eq!(z == BigUint::from(0u8), *point == ProjectivePoint::IDENTITY);
            let b = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
            let right =
                &x * &x * &x + (&p - 3u8) * &x * z.modpow(&4u8.into(), &p) + b * z.modpow(&6u8.into(), &p);
            assert_eq!(&y * &y % &p, right % &p);
        }
    }
}

fn powers_of_all_kinds<F: Lanes>() {
    let mut stream = Stream(15);
    let es = exponents();
    let bases = points(es.len(), &mut stream);
    let random: Vec<_> = (0..es.len()).map(|i| bases[7 + i % (es.len() - 7)]).collect();
    for bases in [bases, random] {
        let expected: Vec<_> = bases.iter().zip(&es).map(|(b, e)| b * &scalar(e)).collect();
        let (given, packed) = (scaled::<F>(&bases), pack(&es));
        for constant in [false, true] {
            let found = filled(given.len(), |out| {
                powers::powers::<F>(&given, &packed, constant, out)
            });
            expect::<F>(&found, &expected);
        }
    }
    let base = random_point(&mut stream);
    let expected: Vec<_> = es.iter().map(|e| base * scalar(e)).collect();
    let found = filled(es.len() * ITEM, |out| {
        powers::powers::<F>(&items::<F>(&[base]), &pack(&es), true, out)
    });
    expect::<F>(&found, &expected);
}

fn tables<F: Lanes>() {
    let mut stream = Stream(16);
    let es = exponents();
    let g = ProjectivePoint::GENERATOR;
    for base in [g, random_point(&mut stream), ProjectivePoint::IDENTITY] {
        for bits in [
            1, 2, 5, 6, 7, 8, 9, 16, 17, 64, 128, 129, 160, 249, 250, 255, 256, 300,
        ] {
            if bits < 256 && bits > 9 && base != g {
                continue;
            }
            let table = powers::Table::new::<F>(&scaled::<F>(&[base]), bits);
            let limit = BigUint::from(1u8) << bits;
            let mut short: Vec<_> = es.iter().map(|e| e % &limit).collect();
            short.push((&limit - 1u8) % order());
            let expected: Vec<_> = short.iter().map(|e| base * scalar(e)).collect();
            let found = filled(short.len() * ITEM, |out| table.powers::<F>(&pack(&short), out));
            expect::<F>(&found, &expected);
        }
    }
}

fn products_of_rows<F: Lanes>() {
    let mut stream = Stream(17);
    let some = points(60, &mut stream);
    let given = scaled::<F>(&some);
    for rows in [1, 2, 3, 5, 6, 10, 12, 20, 30, 60] {
        let len = 60 / rows;
        let expected: Vec<_> = some.chunks_exact(len).map(|row| row.iter().sum()).collect();
        expect::<F>(
            &filled(rows * ITEM, |out| bulk::products::<F>(&given, rows, out)),
            &expected,
        );
    }
    let none = [ProjectivePoint::IDENTITY; 3];
    expect::<F>(&filled(3 * ITEM, |out| bulk::products::<F>(&[], 3, out)), &none);
    let many = points(3000, &mut stream);
    let sum: ProjectivePoint = many.iter().sum();
    let given = items::<F>(&many);
    expect::<F>(&filled(ITEM, |out| bulk::products::<F>(&given, 1, out)), &[sum]);
}

fn sums_in_order<F: Lanes>() {
    let mut stream = Stream(18);
    for count in [0, 1, 2, 7, 8, 9, 10, 15, 17, 63, 64, 65, 2500] {
        let some = points(count, &mut stream);
        let mut total = ProjectivePoint::IDENTITY;
        let expected: Vec<_> = some
            .iter()
            .map(|point| {
                total += point;
                total
            })
            .collect();
        let given = scaled::<F>(&some);
        expect::<F>(
            &filled(given.len(), |out| bulk::running_products::<F>(&given, out)),
            &expected,
        );
    }
}

fn check_multiexp<F: Lanes>(bases: &[ProjectivePoint], es: &[BigUint], rows: usize) {
    let len = es.len() / rows;
    let terms: Vec<_> = bases.iter().zip(es).map(|(b, e)| b * &scalar(e)).collect();
    let expected: Vec<ProjectivePoint> = terms.chunks_exact(len).map(|row| row.iter().sum()).collect();
    let found = filled(rows * ITEM, |out| {
        multiexp::multiexp::<F>(&scaled::<F>(bases), &pack(es), rows, out)
    });
    expect::<F>(&found, &expected);
}

fn multiexps<F: Lanes>() {
    let mut stream = Stream(19);
    let q = order();
    let all = exponents();
    for (count, rows) in [
        (1, 1),
        (2, 1),
        (3, 1),
        (5, 1),
        (8, 1),
        (9, 1),
        (40, 1),
        (100, 1),
        (101, 1),
        (130, 1),
        (300, 1),
        (700, 1),
        (2, 2),
        (12, 4),
        (16, 8),
        (27, 9),
        (60, 3),
        (99, 11),
        (240, 2),
        (250, 10),
        (10, 5),
        (14, 7),
    ] {
        let bases = points(count, &mut stream);
        for kind in 0..5 {
            let es: Vec<BigUint> = (0..count)
                .map(|i| match kind {
                    0 => BigUint::from_bytes_le(&stream.bytes(32)) % &q,
                    1 => BigUint::from_bytes_le(&stream.bytes(16)),
                    2 => all[(7 * i + count) % all.len()].clone(),
                    3 => &q - 1u8 - BigUint::from_bytes_le(&stream.bytes(4)),
                    _ => BigUint::from((i == 1) as u8),
                })
                .collect();
            check_multiexp::<F>(&bases, &es, rows);
        }
        check_multiexp::<F>(&bases, &vec![BigUint::from(0u8); count], rows);
    }
    let none = [ProjectivePoint::IDENTITY; 3];
    expect::<F>(
        &filled(3 * ITEM, |out| multiexp::multiexp::<F>(&[], &[], 3, out)),
        &none,
    );
}

/// Equal and opposite points meet in buckets, again and again.
fn repeated_bases<F: Lanes>() {
    let mut stream = Stream(20);
    let point = random_point(&mut stream);
    for count in [150, 400] {
        for kind in 0..4 {
            let bases: Vec<_> = (0..count)
                .map(|i| if kind >= 2 && i % 2 == 1 { -point } else { point })
                .collect();
            let number = BigUint::from_bytes_le(&stream.bytes(31));
            let es: Vec<_> = (0..count)
                .map(|i| {
                    if kind % 2 == 0 {
                        number.clone()
                    } else {
                        &number + (i % 3) as u8
                    }
                })
                .collect();
            check_multiexp::<F>(&bases, &es, 1);
        }
    }
}

fn shared_bases<F: Lanes>() {
    let mut stream = Stream(21);
    for (len, rows) in [(3, 4), (2, 20), (150, 3), (1, 9)] {
        let bases = points(len, &mut stream);
        let es: Vec<_> = (0..len * rows)
            .map(|_| BigUint::from_bytes_le(&stream.bytes(31)))
            .collect();
        let expected: Vec<ProjectivePoint> = es
            .chunks_exact(len)
            .map(|row| bases.iter().zip(row).map(|(b, e)| b * &scalar(e)).sum())
            .collect();
        let found = filled(rows * ITEM, |out| {
            multiexp::multiexp::<F>(&items::<F>(&bases), &pack(&es), rows, out)
        });
        expect::<F>(&found, &expected);
    }
}

/// RFC 9380, section 6.6.2, by numbers.
fn simplified_swu(u: &BigUint) -> ProjectivePoint {
    let p = prime();
    let b = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    let (a, z) = (&p - 3u8, &p - 10u8);
    let inverse = |x: &BigUint| x.modpow(&(&p - 2u8), &p);
    let right = |x: &BigUint| (x * x * x + &a * x + &b) % &p;
    let zu = &z * u * u % &p;
    let t = (&zu + 1u8) * &zu % &p;
    let mut x = if t.bits() > 0 {
        (&p - &b) * (&t + 1u8) * inverse(&(&a * &t % &p)) % &p
    } else {
        &b * inverse(&(&z * &a % &p)) % &p
    };
    let quarter = (&p + 1u8) >> 2;
    let mut y = right(&x).modpow(&quarter, &p);
    if &y * &y % &p != right(&x) {
        x = &zu * x % &p;
        y = right(&x).modpow(&quarter, &p);
    }
    if y.bit(0) != u.bit(0) {
        y = &p - y;
    }
    let mut bytes = vec![4];
    for number in [x, y] {
        bytes.extend(le(&number).iter().rev());
    }
    let point = p256::Sec1Point::from_bytes(&bytes).unwrap();
    AffinePoint::from_sec1_point(&point).unwrap().into()
}

fn uniform_bytes<F: Lanes>() {
    let p = prime();
    let mut stream = Stream(22);
    let us = delicate(&mut stream);
    let expected: Vec<_> = us.iter().map(simplified_swu).collect();
    let data = pack(&us);
    expect::<F>(
        &filled(us.len() * ITEM, |out| bulk::map_to_curve::<F>(&data, out)),
        &expected,
    );
    let mut data = stream.bytes(96 * 40);
    data[..96].fill(0);
    data[96..192].fill(255);
    data[192..300].fill(0);
    let expected: Vec<_> = data
        .chunks_exact(96)
        .map(|row| {
            let half = |bytes: &[u8]| simplified_swu(&(BigUint::from_bytes_be(bytes) % &p));
            half(&row[..48]) + half(&row[48..])
        })
        .collect();
    expect::<F>(
        &filled(40 * ITEM, |out| bulk::from_uniform::<F>(&data, out)),
        &expected,
    );
}

fn embeds<F: Lanes>() {
    let mut stream = Stream(23);
    let mut blocks = stream.bytes(30 * 11);
    blocks[..30].fill(0);
    blocks[30..60].fill(255);
    let (mut made, mut masks) = (vec![0; 11 * ITEM], vec![0; 11]);
    bulk::embed::<F>(&blocks, &mut made, &mut masks);
    assert_eq!(masks, [1; 11]);
    for (bytes, block) in read::<F>(&made).chunks_exact(33).zip(blocks.chunks_exact(30)) {
        assert_eq!(bytes[..2], [2, 0]);
        assert_eq!(&bytes[2..32], block);
        for counter in 1..=bytes[32] {
            let mut candidate: [u8; 33] = bytes.try_into().unwrap();
            candidate[32] = counter;
            let found = bool::from(AffinePoint::from_bytes(&candidate.into()).is_some());
            assert_eq!(found, counter == bytes[32]);
        }
    }
    let (mut again, mut masks) = (vec![0; 30 * 11], vec![0; 11]);
    bulk::extract::<F>(&made, &mut again, &mut masks);
    assert_eq!(masks, [1; 11]);
    assert_eq!(again, blocks);
}

fn extracts_nothing_else<F: Lanes>() {
    let mut stream = Stream(24);
    let block = stream.bytes(30);
    let mut encodings = vec![vec![0; 33]];
    let mut firsts = 0;
    for counter in 0..=255u8 {
        for prefix in [2, 3] {
            for top in [0, 1] {
                let mut bytes = [0; 33];
                (bytes[0], bytes[1], bytes[32]) = (prefix, top, counter);
                bytes[2..32].copy_from_slice(&block);
                if bool::from(AffinePoint::from_bytes(&bytes.into()).is_some()) {
                    encodings.push(bytes.to_vec());
                }
            }
        }
    }
    let data: Vec<u8> = encodings.concat();
    let n = encodings.len();
    let (mut given, mut masks) = (vec![0; n * ITEM], vec![0; n]);
    bulk::decode::<F>(&data, &mut given, &mut masks);
    let mut blocks = vec![0; n * 30];
    bulk::extract::<F>(&given, &mut blocks, &mut masks);
    for ((mask, bytes), found) in masks.iter().zip(&encodings).zip(blocks.chunks_exact(30)) {
        let first = encodings
            .iter()
            .find(|e| e[0] == 2 && e[1] == 0 && e[32] > 0)
            .unwrap();
        let expected = bytes == first && bytes[32] <= 128;
        assert_eq!(*mask == 1, expected);
        assert_eq!(found, if expected { &block[..] } else { &[0; 30] });
        firsts += expected as usize;
    }
    assert_eq!(firsts, 1);
    assert!(n > 200);
}

#[test]
fn items_with_any_bytes_are_safe() {
    let mut stream = Stream(25);
    let mut garbage = stream.bytes(ITEM * 20);
    garbage[..ITEM].fill(255);
    let es = stream.bytes(32 * 20);
    fn run<F: Lanes>(garbage: &[u8], es: &[u8]) {
        let mut masks = vec![0; 20];
        filled(20 * 33, |out| bulk::encode::<F>(garbage, out));
        filled(20 * ITEM, |out| bulk::multiply::<F>(garbage, garbage, out));
        filled(20 * ITEM, |out| powers::powers::<F>(garbage, es, true, out));
        filled(ITEM, |out| {
            multiexp::multiexp::<F>(&garbage.repeat(10), &es.repeat(10), 1, out)
        });
        filled(20 * 30, |out| bulk::extract::<F>(garbage, out, &mut masks));
        powers::Table::new::<F>(&garbage[..ITEM], 256);
    }
    run::<One>(&garbage, &es);
    #[cfg(target_arch = "x86_64")]
    if crate::mode() == "ifma" {
        run::<Eight>(&garbage, &es);
    }
}

/// Items of one field are items of the other.
#[cfg(target_arch = "x86_64")]
#[test]
fn items_are_the_same_in_both_fields() {
    if crate::mode() == "ifma" {
        let some = points(20, &mut Stream(26));
        assert_eq!(items::<One>(&some), items::<Eight>(&some));
        expect::<One>(&scaled::<Eight>(&some), &some);
        expect::<Eight>(&scaled::<One>(&some), &some);
        assert_eq!(bulk::identity::<One>(), bulk::identity::<Eight>());
    }
}
