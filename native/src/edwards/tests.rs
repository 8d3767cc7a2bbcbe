//! Against independent implementations: num-bigint for the field, curve25519-dalek for the groups; and the two
//! backends against each other. Every test runs on each backend that this processor has.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION, RISTRETTO_BASEPOINT_POINT};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity};
use num_bigint::BigUint;

use super::bulk::{self, Kind, Mode};
use super::constants as c;
use super::rows::{self, ITEM, SCALAR, identity_item};

fn modes() -> Vec<Mode> {
    let mut modes = vec![Mode::Portable];
    if Mode::best() != Mode::Portable {
        modes.push(Mode::best());
    }
    modes
}

struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d049bb133111eb);
        z ^ z >> 31
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.word() as u8)
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }
}

fn prime() -> BigUint {
    (BigUint::from(1u8) << 255) - 19u8
}

fn number(limbs: &[u64; 5]) -> BigUint {
    number_of(limbs, 51)
}

fn number_of(limbs: &[u64; 5], bits: u32) -> BigUint {
    limbs
        .iter()
        .rev()
        .fold(BigUint::ZERO, |sum, &limb| (sum << bits) + limb)
}

fn small(value: u32) -> BigUint {
    BigUint::from(value)
}

fn inverse(a: &BigUint) -> BigUint {
    a.modpow(&(prime() - 2u8), &prime())
}

#[test]
fn the_constants_are_what_they_are_called() {
    let p = prime();
    let times = |a: &BigUint, b: &BigUint| a * b % &p;
    let square = |a: &[u64; 5]| times(&number(a), &number(a));
    let minus = |a: &BigUint| &p - a % &p;
    let d = times(&minus(&small(121665)), &inverse(&small(121666)));
    assert_eq!(number(&c::D), d);
    assert_eq!(number(&c::D2), times(&d, &small(2)));
    assert_eq!(number(&c::MINUS_ONE), &p - 1u8);
    let i = number(&c::SQRT_M1);
    assert_eq!(i, small(2).modpow(&((&p - 1u8) >> 2), &p));
    assert_eq!(number(&c::MINUS_SQRT_M1), &p - &i);
    assert_eq!(
        times(&square(&c::INVSQRT_A_MINUS_D), &minus(&(&d + 1u8))),
        small(1)
    );
    assert_eq!(square(&c::SQRT_AD_MINUS_ONE), minus(&(&d + 1u8)));
    assert_eq!(
        number(&c::ONE_MINUS_D_SQUARED),
        (minus(&times(&d, &d)) + 1u8) % &p
    );
    assert_eq!(number(&c::D_MINUS_ONE_SQUARED), times(&(&d - 1u8), &(&d - 1u8)));
    let a = small(486662);
    assert_eq!(number(&c::MONTGOMERY_A), a);
    assert_eq!(number(&c::MONTGOMERY_A_MINUS_2), &a - 2u8);
    assert_eq!(square(&c::MONTGOMERY_2C), times(&minus(&(&a + 2u8)), &small(4)));
    // C/i = 2 C / (2 i)
    assert_eq!(
        times(&number(&c::QUARTER_V), &times(&i, &small(2))),
        number(&c::MONTGOMERY_2C)
    );
    assert_eq!(times(&square(&c::HALF_TWIST), &i), times(&a, &a) - 4u8);
    let order = c::ORDER
        .iter()
        .rev()
        .fold(BigUint::ZERO, |sum, &word| (sum << 64) + word);
    let eighth = c::EIGHTH
        .iter()
        .rev()
        .fold(BigUint::ZERO, |sum, &word| (sum << 64) + word);
    assert_eq!(&eighth * 8u8 % &order, small(1));
    assert_eq!(
        order,
        (small(1) << 252) + 27742317777372353535851937790883648493u128
    );
}

macro_rules! field_tests {
    ($name:ident, $backend:ident) => {
        mod $name {
            use super::super::rows::Record;
            use super::super::$backend::field::{self, F, Wide};
            use super::super::$backend::memory;
            use super::{Mode, Random, modes, number_of, prime};
            use num_bigint::BigUint;

            fn served() -> bool {
                stringify!($backend) == "portable" || modes().contains(&Mode::best())
            }

            fn number(limbs: &[u64; 5]) -> BigUint {
                number_of(limbs, field::BITS)
            }

            /// All that `F` may hold: limbs as high as they get, and edges.
            fn limbs(random: &mut Random) -> [u64; 5] {
                let some = [0, 1, 18, 19, 20, 607, 608, 609];
                std::array::from_fn(|k| {
                    let most = field::MOST[k];
                    let full = (1 << if k < 4 { field::BITS } else { 255 - 4 * field::BITS }) - 1;
                    match random.word() % 4 {
                        0 => random.word() % (most + 1),
                        1 => some[random.word() as usize % some.len()],
                        2 => (full - random.word() % 20).min(most),
                        _ => most,
                    }
                })
            }

            fn is(a: &F, expected: impl Fn(usize) -> BigUint) {
                let canonical = a.canonical().to_lanes();
                for lane in 0..8 {
                    assert!(canonical[lane].iter().all(|&limb| limb < 1 << field::BITS));
                    assert_eq!(number(&canonical[lane]), expected(lane) % prime());
                }
            }

            fn is_tight(a: &F) {
                for limbs in a.to_lanes() {
                    assert!((0..5).all(|k| limbs[k] <= field::MOST[k]), "{limbs:x?}");
                }
            }

            #[test]
            fn products_and_sums() {
                if !served() {
                    return;
                }
                let mut random = Random(1);
                let p = prime();
                for _ in 0..400 {
                    let a: [[u64; 5]; 8] = std::array::from_fn(|_| limbs(&mut random));
                    let b: [[u64; 5]; 8] = std::array::from_fn(|_| limbs(&mut random));
                    let (x, y) = (F::from_lanes(&a), F::from_lanes(&b));
                    let (m, n) = (
                        |lane: usize| number(&a[lane]),
                        |lane: usize| number(&b[lane]),
                    );
                    let many = &p << 12;
                    is(&x, m);
                    is(&x.mul(&y).carry(), |lane| m(lane) * n(lane));
                    is(&x.square().carry(), |lane| m(lane) * m(lane));
                    is(&x.add(&y).carry(), |lane| m(lane) + n(lane));
                    is(&x.sub(&y).carry(), |lane| &many + m(lane) - n(lane));
                    is(&x.neg().carry(), |lane| &many - m(lane));
                    // The deepest sum there is, 4 z^2 - 2 p m, and the one that is nearest to 0.
                    let sum: Wide = x.square().double().double().sub(&x.mul(&y).double());
                    is(&sum.carry(), |lane| {
                        (&p * &p << 3) + m(lane) * m(lane) * 4u8 - m(lane) * n(lane) * 2u8
                    });
                    let least: Wide = x.mul(&y).sub(&y.square());
                    is(&least.carry(), |lane| {
                        (&p * &p << 3) + m(lane) * n(lane) - n(lane) * n(lane)
                    });
                    for wide in [x.mul(&y), x.square(), x.sub(&y), x.neg(), sum, least] {
                        is_tight(&wide.carry());
                        let again = wide.factor().mul(&least.factor());
                        is(&again.carry(), |lane| {
                            number(&wide.carry().to_lanes()[lane]) * number(&least.carry().to_lanes()[lane])
                        });
                        is(&wide.factor().square().carry(), |lane| {
                            number(&wide.carry().to_lanes()[lane]).pow(2)
                        });
                    }
                    let mask = random.word() as u8;
                    let chosen = x.select(mask, &y).to_lanes();
                    let turned = x.rotate(3).to_lanes();
                    for lane in 0..8 {
                        assert_eq!(
                            chosen[lane],
                            if mask >> lane & 1 == 1 {
                                b[lane]
                            } else {
                                a[lane]
                            }
                        );
                        assert_eq!(turned[lane], a[(lane + 3) % 8]);
                    }
                }
            }

            #[test]
            fn numbers_about_p() {
                if !served() {
                    return;
                }
                let p = prime();
                for first in 0..40u32 {
                    // 2^255 - 40 + first, as limbs
                    let value: BigUint = (BigUint::from(1u8) << 255) - 40u8 + first;
                    let mask = BigUint::from((1u64 << field::BITS) - 1);
                    let limbs: [u64; 5] = std::array::from_fn(|k| {
                        let above = &value >> (field::BITS as usize * k);
                        u64::try_from(if k < 4 { above & &mask } else { above }).unwrap()
                    });
                    let x = F::from_lanes(&[limbs; 8]);
                    is(&x, |_| value.clone());
                    let canonical = x.canonical();
                    let rest = &value % &p;
                    assert_eq!(
                        canonical.zero(),
                        if rest == BigUint::ZERO { 0xff } else { 0 }
                    );
                    assert_eq!(canonical.odd(), if rest.bit(0) { 0xff } else { 0 });
                    assert_eq!(
                        canonical.low_words()[5],
                        u64::try_from(&rest & BigUint::from(u64::MAX)).unwrap()
                    );
                    assert_eq!(
                        canonical.same(&F::splat(&[0, 0, 0, 0, 0])),
                        canonical.zero()
                    );
                }
            }

            #[test]
            fn records_and_rows() {
                if !served() {
                    return;
                }
                let mut random = Random(2);
                let mut records = [Record([7; 24]); 20];
                let numbers: [F; 4] = std::array::from_fn(|_| {
                    F::from_lanes(&std::array::from_fn(|_| limbs(&mut random)))
                });
                let places = [3, 19, 0, 7, 8, 12, 1, 2];
                memory::store_records(&mut records, &places, &numbers);
                let back = memory::load_records(&records, &places);
                let lane_5 = memory::splat_record(&records[12]);
                for k in 0..4 {
                    assert_eq!(back[k].to_lanes(), numbers[k].to_lanes());
                    assert_eq!(lane_5[k].to_lanes(), [numbers[k].to_lanes()[5]; 8]);
                    for lane in 0..8 {
                        assert_eq!(
                            records[places[lane]].0[5 * k..5 * k + 5],
                            numbers[k].to_lanes()[lane]
                        );
                    }
                }
                assert_eq!(records[4].0, [7; 24]);
                let canonical = numbers.map(|number| number.canonical());
                let mut items = vec![9; 20 * super::ITEM];
                memory::store_items(&mut items, &places, &canonical);
                let back = memory::load_items(&items, &places);
                for k in 0..4 {
                    assert_eq!(back[k].to_lanes(), canonical[k].to_lanes());
                    for lane in 0..8 {
                        let bytes = &items[super::ITEM * places[lane] + 32 * k..][..32];
                        assert_eq!(
                            BigUint::from_bytes_le(bytes),
                            number(&canonical[k].to_lanes()[lane])
                        );
                    }
                }
                assert_eq!(items[super::ITEM * 4..][..super::ITEM], [9; super::ITEM]);
            }
        }
    };
}

field_tests!(portable_field, portable);
#[cfg(target_arch = "x86_64")]
field_tests!(ifma_field, ifma);

/// Digits add up to the exponent, whatever the width.
#[test]
fn digits_make_exponents() {
    for exponent in edges().iter().chain(&[Random(3).scalar(), Random(4).scalar()]) {
        let bytes = exponent.to_bytes();
        let words = rows::words(&bytes, 0);
        let bits = rows::bit_length(&words);
        assert_eq!(bits as u64, BigUint::from_bytes_le(&bytes).bits());
        for width in 2..=8 {
            let count = rows::window_count(bits, width);
            let shifted = rows::add_offset(&words, &rows::offset(width, count));
            let mut sum = Scalar::ZERO;
            for k in (0..count).rev() {
                let digit = rows::digit(&shifted, width, k);
                assert!((-(1 << (width - 1))..1 << (width - 1)).contains(&(digit as i32)));
                sum *= Scalar::from(1u64 << width);
                let size = Scalar::from(digit.unsigned_abs() as u64);
                sum += if digit < 0 { -size } else { size };
            }
            assert_eq!(sum, *exponent);
            assert!(shifted[count * width / 64] >> (count * width % 64) == 0);
        }
        let (size, negative) = rows::shortened(&words);
        let size = Scalar::from_bytes_mod_order(words_to_bytes(&size));
        assert_eq!(if negative { -size } else { size }, *exponent);
    }
}

fn words_to_bytes(words: &[u64; 4]) -> [u8; 32] {
    std::array::from_fn(|i| words[i / 8].to_le_bytes()[i % 8])
}

/// 0, 1, the highest, and what carries at windows of 4, 7, 9, 11 bits.
fn edges() -> Vec<Scalar> {
    let mut edges: Vec<Scalar> = [
        0u64,
        1,
        2,
        7,
        8,
        9,
        15,
        16,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        u64::MAX,
    ]
    .into_iter()
    .map(Scalar::from)
    .collect();
    for width in [4, 7, 8, 9, 10, 11] {
        for digit in [
            (1u64 << (width - 1)) - 1,
            1 << (width - 1),
            (1 << (width - 1)) + 1,
            (1 << width) - 1,
        ] {
            let mut sum = Scalar::ZERO;
            for _ in 0..251 / width {
                sum = sum * Scalar::from(1u64 << width) + Scalar::from(digit);
            }
            edges.push(sum);
        }
    }
    let highest: Vec<Scalar> = edges.iter().map(|edge| -edge).collect();
    edges.extend(highest);
    edges
}

fn exponents(scalars: &[Scalar]) -> Vec<u8> {
    scalars.iter().flat_map(|scalar| scalar.to_bytes()).collect()
}

fn ristretto_items(mode: Mode, points: &[RistrettoPoint]) -> Vec<u8> {
    let data: Vec<u8> = points
        .iter()
        .flat_map(|point| point.compress().to_bytes())
        .collect();
    let (mut items, mut mask) = (vec![0; ITEM * points.len()], vec![0; points.len()]);
    bulk::decode(mode, Kind::Ristretto255, &data, &mut items, &mut mask);
    assert!(mask.iter().all(|&member| member == 1));
    items
}

fn encodings(mode: Mode, items: &[u8]) -> Vec<[u8; 32]> {
    let mut output = vec![0; items.len() / ITEM * 32];
    bulk::encode(mode, Kind::Ristretto255, items, &mut output);
    output
        .chunks_exact(32)
        .map(|row| row.try_into().unwrap())
        .collect()
}

fn compressed(points: impl IntoIterator<Item = RistrettoPoint>) -> Vec<[u8; 32]> {
    points
        .into_iter()
        .map(|point| point.compress().to_bytes())
        .collect()
}

fn points(random: &mut Random, count: usize) -> Vec<RistrettoPoint> {
    let mut points: Vec<RistrettoPoint> = (0..count)
        .map(|_| RistrettoPoint::from_uniform_bytes(&random.bytes()))
        .collect();
    for (point, special) in points
        .iter_mut()
        .zip([RistrettoPoint::identity(), RISTRETTO_BASEPOINT_POINT])
    {
        *point = special;
    }
    points
}

#[test]
fn decoding_accepts_what_others_do() {
    let mut random = Random(5);
    let mut candidates: Vec<[u8; 32]> = (0..300).map(|_| random.bytes()).collect();
    candidates.extend(compressed(points(&mut random, 50)));
    let p = prime();
    let top = BigUint::from(1u8) << 255;
    for k in 0..50u32 {
        for value in [
            small(k),
            &p - k,
            &p + k,
            (&top << 1) - 1u8 - k,
            &top + k,
            &top - 1u8 - k,
        ] {
            let mut bytes = value.to_bytes_le();
            bytes.resize(32, 0);
            candidates.push(bytes[..32].try_into().unwrap());
        }
    }
    for torsion in &EIGHT_TORSION {
        for k in 0..8 {
            let point = torsion + ED25519_BASEPOINT_POINT * Scalar::from(k as u64);
            let bytes = point.compress().to_bytes();
            candidates.push(bytes);
            candidates.push(std::array::from_fn(|i| bytes[i] ^ if i == 31 { 0x80 } else { 0 }));
        }
    }
    let data = candidates.concat();
    for mode in modes() {
        let (mut items, mut mask) = (vec![0; ITEM * candidates.len()], vec![0; candidates.len()]);
        bulk::decode(mode, Kind::Ristretto255, &data, &mut items, &mut mask);
        let mut members = 0;
        for ((bytes, item), &member) in candidates.iter().zip(items.chunks_exact(ITEM)).zip(&mask) {
            let expected = CompressedRistretto(*bytes).decompress();
            assert_eq!(member == 1, expected.is_some());
            members += member as usize;
            if member == 1 {
                assert_eq!(encodings(mode, item), [*bytes]);
            } else {
                assert_eq!(item, identity_item());
            }
        }
        assert!(members > 50 && members < candidates.len() / 2);
        let (mut free, mut order) = (vec![0; candidates.len()], vec![0; candidates.len()]);
        let mut whole = vec![0; candidates.len()];
        bulk::decode(mode, Kind::Ed25519, &data, &mut items, &mut mask);
        bulk::decode_points(mode, &data, &mut items, &mut whole);
        bulk::torsion_free(mode, &items, &mut free);
        bulk::small_order(mode, &items, &mut order);
        let mut kinds = [0; 3];
        for (i, bytes) in candidates.iter().enumerate() {
            // The other library takes y above p and -0 as well.
            let strict = |point: &EdwardsPoint| point.compress().to_bytes() == *bytes;
            let expected = CompressedEdwardsY(*bytes).decompress().filter(strict);
            assert_eq!(whole[i] == 1, expected.is_some());
            let point = expected.unwrap_or(EdwardsPoint::identity());
            assert_eq!(mask[i] == 1, expected.is_some() && point.is_torsion_free());
            assert_eq!(free[i] == 1, point.is_torsion_free());
            assert_eq!(order[i] == 1, point.is_small_order());
            kinds[free[i] as usize + order[i] as usize] += 1;
        }
        assert!(kinds.iter().all(|&count| count > 20));
    }
}

#[test]
fn torsion_shows_in_every_point() {
    let mut random = Random(6);
    for mode in modes() {
        let mut data = Vec::new();
        for _ in 0..40 {
            let point = ED25519_BASEPOINT_POINT * random.scalar();
            for torsion in &EIGHT_TORSION {
                data.extend((point + torsion).compress().to_bytes());
            }
        }
        let count = data.len() / 32;
        let (mut items, mut mask) = (vec![0; ITEM * count], vec![0; count]);
        bulk::decode(mode, Kind::Ed25519, &data, &mut items, &mut mask);
        for (i, &member) in mask.iter().enumerate() {
            assert_eq!(member == 1, i % 8 == 0);
        }
    }
}

#[test]
fn sums_and_encodings() {
    let mut random = Random(7);
    for mode in modes() {
        for count in [0, 1, 7, 8, 9, 16, 17, 40] {
            let (a, b) = (points(&mut random, count), points(&mut random, count));
            let (x, y) = (ristretto_items(mode, &a), ristretto_items(mode, &b));
            let mut output = vec![0; ITEM * count];
            bulk::multiply(mode, &x, &y, &mut output);
            assert_eq!(
                encodings(mode, &output),
                compressed(a.iter().zip(&b).map(|(a, b)| a + b))
            );
            let mut squares = vec![0; 32 * count];
            bulk::encode_squares(mode, &output, &mut squares);
            let doubles = a.iter().zip(&b).map(|(a, b)| (a + b) + (a + b));
            assert_eq!(squares, compressed(doubles).concat());
            let mut inverses = vec![0; ITEM * count];
            bulk::invert(mode, &output, &mut inverses);
            assert_eq!(
                encodings(mode, &inverses),
                compressed(a.iter().zip(&b).map(|(a, b)| -(a + b)))
            );
            bulk::running_products(mode, &x, &mut output);
            let mut sum = RistrettoPoint::identity();
            let sums: Vec<_> = a
                .iter()
                .map(|point| {
                    sum += point;
                    sum
                })
                .collect();
            assert_eq!(encodings(mode, &output), compressed(sums));
            let mut mask = vec![0; count];
            bulk::equal(mode, Kind::Ristretto255, &x, &y, &mut mask);
            assert!(
                mask.iter()
                    .enumerate()
                    .all(|(i, &same)| (same == 1) == (a[i] == b[i]))
            );
            for rows in [1, 2, 4, 8] {
                let length = count / rows;
                let mut output = vec![0; ITEM * rows];
                bulk::products(mode, &x[..ITEM * rows * length], &mut output);
                let expected = (0..rows).map(|row| a[row * length..][..length].iter().sum());
                assert_eq!(encodings(mode, &output), compressed(expected));
            }
        }
    }
}

#[test]
fn powers_at_all_edges() {
    let mut random = Random(8);
    let mut scalars = edges();
    scalars.extend((0..20).map(|_| random.scalar()));
    let bases = points(&mut random, scalars.len());
    let numbers = exponents(&scalars);
    for mode in modes() {
        let items = ristretto_items(mode, &bases);
        let expected = compressed(bases.iter().zip(&scalars).map(|(base, scalar)| base * scalar));
        let mut output = vec![0; items.len()];
        bulk::powers_constant_time(mode, &items, &numbers, &mut output);
        assert_eq!(encodings(mode, &output), expected);
        bulk::powers(mode, &items, &numbers, &mut output);
        assert_eq!(encodings(mode, &output), expected);
        let expected = compressed(scalars.iter().map(|scalar| bases[2] * scalar));
        let base = &items[2 * ITEM..3 * ITEM];
        bulk::powers_constant_time(mode, base, &numbers, &mut output);
        assert_eq!(encodings(mode, &output), expected);
        let table = bulk::build_table(mode, base, 253);
        bulk::table_powers(mode, &table, &numbers, None, &mut output);
        assert_eq!(encodings(mode, &output), expected);
        let expected = compressed(bases.iter().zip(&scalars).map(|(factor, scalar)| factor + bases[2] * scalar));
        bulk::table_powers(mode, &table, &numbers, Some(&items), &mut output);
        assert_eq!(encodings(mode, &output), expected);
        for bits in [0usize, 1, 5, 6, 7, 13, 14, 64] {
            let most = Scalar::from(u64::MAX >> (64 - bits.max(1)) & if bits == 0 { 0 } else { u64::MAX });
            let some = exponents(&[Scalar::ZERO, most]);
            let table = bulk::build_table(mode, base, bits);
            bulk::table_powers(mode, &table, &some, None, &mut output[..2 * ITEM]);
            let expected = compressed([RistrettoPoint::identity(), bases[2] * most]);
            assert_eq!(encodings(mode, &output[..2 * ITEM]), expected);
        }
    }
}

#[test]
fn products_of_powers() {
    let mut random = Random(9);
    let edges = edges();
    let bases = points(&mut random, 700);
    for mode in modes() {
        let affine = ristretto_items(mode, &bases);
        let mut other = vec![0; affine.len()];
        bulk::multiply(mode, &affine, &affine[2 * ITEM..3 * ITEM], &mut other);
        for (rows, length) in [
            (1, 0),
            (2, 0),
            (1, 1),
            (1, 9),
            (1, 100),
            (1, 127),
            (1, 128),
            (1, 700),
            (2, 150),
            (3, 9),
            (9, 14),
        ] {
            let count = rows * length;
            for short in [false, true] {
                let scalars: Vec<Scalar> = (0..count)
                    .map(|_| match random.word() % 4 {
                        0 => edges[random.word() as usize % edges.len()],
                        1 if !short => random.scalar(),
                        _ => Scalar::from((random.word() as u128) << 64 | random.word() as u128),
                    })
                    .collect();
                for (items, shift) in [(&affine, RistrettoPoint::identity()), (&other, bases[2])] {
                    let mut output = vec![0; ITEM * rows];
                    bulk::multiexp(mode, &items[..ITEM * count], &exponents(&scalars), &mut output);
                    let expected = (0..rows).map(|row| {
                        let terms = row * length..(row + 1) * length;
                        terms.map(|i| (bases[i] + shift) * scalars[i]).sum()
                    });
                    assert_eq!(
                        encodings(mode, &output),
                        compressed(expected),
                        "{mode:?} {rows} {length}"
                    );
                }
            }
        }
    }
}

/// Equal bases meet in one bucket, again and again.
#[test]
fn one_base_many_times() {
    for mode in modes() {
        let bases = vec![RISTRETTO_BASEPOINT_POINT; 300];
        let items = ristretto_items(mode, &bases);
        for scalar in [Scalar::from(5u64), -Scalar::from(5u64), Random(1).scalar()] {
            let mut output = vec![0; ITEM];
            bulk::multiexp(mode, &items, &exponents(&[scalar; 300]), &mut output);
            let expected = RISTRETTO_BASEPOINT_POINT * scalar * Scalar::from(300u64);
            assert_eq!(encodings(mode, &output), compressed([expected]));
        }
    }
}

#[test]
fn uniform_bytes_and_messages() {
    let mut random = Random(10);
    let mut uniform: Vec<[u8; 64]> = (0..50).map(|_| random.bytes()).collect();
    uniform.extend([[0; 64], [0xff; 64]]);
    let count = uniform.len();
    let blocks: Vec<[u8; 30]> = [[0; 30], [0xff; 30]]
        .into_iter()
        .chain((0..20).map(|_| random.bytes()))
        .collect();
    let mut kept: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for mode in modes() {
        let mut items = vec![0; ITEM * count];
        bulk::from_uniform(mode, Kind::Ristretto255, &uniform.concat(), &mut items);
        let expected = uniform.iter().map(RistrettoPoint::from_uniform_bytes);
        assert_eq!(encodings(mode, &items), compressed(expected));
        for kind in [Kind::Ristretto255, Kind::Ed25519] {
            let mut items = vec![0; ITEM * blocks.len()];
            let mut found = vec![0; blocks.len()];
            bulk::embed(mode, kind, &blocks.concat(), &mut items, &mut found);
            assert!(found.iter().all(|&found| found == 1));
            let (mut back, mut free) = (vec![0; 30 * blocks.len()], vec![0; blocks.len()]);
            bulk::extract(mode, &items, &mut back, &mut found);
            assert!(found.iter().all(|&found| found == 1));
            assert_eq!(back, blocks.concat());
            bulk::torsion_free(mode, &items, &mut free);
            assert!(kind == Kind::Ristretto255 || free.iter().all(|&free| free == 1));
            let mut encodings = vec![0; 32 * blocks.len()];
            bulk::encode(mode, kind, &items, &mut encodings);
            // A later candidate of a block is no message, though it is an element.
            let mut later = Vec::new();
            for (block, encoding) in blocks.iter().zip(encodings.chunks_exact(32)) {
                if kind == Kind::Ristretto255 {
                    let value = BigUint::from_bytes_le(encoding);
                    assert_eq!(&value >> 9, BigUint::from_bytes_le(block));
                    let next = (1..150u32)
                        .map(|k| (&value + 2 * k).to_bytes_le())
                        .find_map(|mut bytes| {
                            bytes.resize(32, 0);
                            CompressedRistretto(bytes.try_into().unwrap()).decompress()
                        });
                    later.push(next.unwrap());
                }
            }
            let items = ristretto_items(mode, &later);
            let (mut back, mut found) = (vec![0; 30 * later.len()], vec![1; later.len()]);
            bulk::extract(mode, &items, &mut back, &mut found);
            assert!(found.iter().all(|&found| found == 0));
            let keys = {
                let mut keys = vec![0; 8 * later.len()];
                bulk::log_keys(mode, &items, &mut keys);
                keys
            };
            kept.push((encodings, keys));
        }
    }
    // All backends alike.
    assert!(kept.chunks(2).all(|both| both == &kept[..2]));
}

/// The key of an element does not depend on which of the four points stands for it, nor on its sign.
#[test]
fn keys_of_elements() {
    let mut random = Random(11);
    for mode in modes() {
        let point = ED25519_BASEPOINT_POINT * random.scalar();
        let mut data = Vec::new();
        for k in [0, 2, 4, 6] {
            data.extend((point + EIGHT_TORSION[k]).compress().to_bytes());
            data.extend((-point + EIGHT_TORSION[k]).compress().to_bytes());
        }
        let (mut items, mut mask) = (vec![0; 8 * ITEM], vec![0; 8]);
        bulk::decode_points(mode, &data, &mut items, &mut mask);
        let mut scaled = vec![0; 8 * ITEM];
        bulk::multiply(mode, &items, &identity_item(), &mut scaled);
        let (mut keys, mut again) = (vec![0; 64], vec![0; 64]);
        bulk::log_keys(mode, &items, &mut keys);
        bulk::log_keys(mode, &scaled, &mut again);
        assert_eq!(keys, again);
        assert!(keys.chunks_exact(8).all(|key| key == &keys[..8]));
        assert!(!point.is_identity() && keys[..8] != [0; 8]);
        let mut same = vec![0; 8];
        bulk::equal(mode, Kind::Ristretto255, &items, &items[..ITEM], &mut same);
        assert_eq!(same, [1, 0, 1, 0, 1, 0, 1, 0]);
        bulk::equal(mode, Kind::Ed25519, &scaled, &items[..ITEM], &mut same);
        assert_eq!(same, [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// What is cut over threads is the same as what is not.
#[test]
fn threads_change_nothing() {
    let mut random = Random(12);
    let uniform: Vec<u8> = (0..9000).flat_map(|_| random.bytes::<64>()).collect();
    let scalars = exponents(&(0..9000).map(|_| random.scalar()).collect::<Vec<_>>());
    let mode = Mode::best();
    let work = || {
        let mut items = vec![0; ITEM * 9000];
        bulk::from_uniform(mode, Kind::Ristretto255, &uniform, &mut items);
        let mut one = vec![0; 3 * ITEM];
        bulk::multiexp(mode, &items, &scalars, &mut one[..ITEM]);
        bulk::products(mode, &items, &mut one[ITEM..2 * ITEM]);
        let mut running = vec![0; ITEM * 9000];
        bulk::running_products(mode, &items, &mut running);
        one[2 * ITEM..].copy_from_slice(&running[8999 * ITEM..]);
        let mut squares = vec![0; 32 * 9000];
        bulk::encode_squares(mode, &items, &mut squares);
        (encodings(mode, &one), squares, encodings(mode, &items))
    };
    crate::buffers::set_threads(1);
    let alone = work();
    crate::buffers::set_threads(3);
    assert!(work() == alone);
    assert_eq!(alone.0[1], alone.0[2]);
    crate::buffers::set_threads(0);
    assert_eq!(scalars.len(), SCALAR * 9000);
}
