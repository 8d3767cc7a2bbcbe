//! Both engines against num-bigint.

use std::sync::Arc;

use num_bigint::BigUint;

use super::engine::{Engine, digit};
use super::{Group, Parameters, Portable, Table, inverse};

/// RFC 3526, sections 3 to 5: 2^n - 2^(n-64) - 1 + 2^64 ([2^(n-130) pi] + offset).
fn prime(bits: usize) -> BigUint {
    let offset = match bits {
        2048 => 124476u32,
        3072 => 1690314,
        _ => 240904,
    };
    let arctan = |x: u32| {
        let mut power = (BigUint::from(1u32) << (bits + 64)) / x;
        let (mut positive, mut negative, mut k) = (BigUint::ZERO, BigUint::ZERO, 1u32);
        while power > BigUint::ZERO {
            *(if k % 4 == 1 { &mut positive } else { &mut negative }) += &power / k;
            (power, k) = (power / (x * x), k + 2);
        }
        positive - negative
    };
    let pi = arctan(5) * 16u32 - arctan(239) * 4u32;
    let one = BigUint::from(1u32);
    (&one << bits) - (&one << (bits - 64)) - &one + (((pi >> 194) + offset) << 64)
}

struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn number(&mut self, bits: usize) -> BigUint {
        let words: Vec<u32> = (0..bits.div_ceil(32)).map(|_| self.word() as u32).collect();
        BigUint::new(words) >> (bits.div_ceil(32) * 32 - bits)
    }
}

struct Case<E: Engine> {
    group: Arc<Group<E>>,
    p: BigUint,
    q: BigUint,
    bits: usize,
    random: Random,
}

impl<E: Engine> Case<E> {
    fn new(bits: usize, safe_prime: bool, prime_cofactor: bool) -> Self {
        let p = prime(bits);
        let mut g = vec![0; bits / 64];
        g[0] = 2;
        let mut q = (&p >> 1u32).to_u64_digits();
        q.resize(bits / 64, 0);
        let parameters = Parameters {
            p: p.to_u64_digits(),
            q,
            g,
            safe_prime,
            prime_cofactor,
        };
        let group = Arc::new(Group::new(parameters));
        Case {
            group,
            q: &p >> 1u32,
            p,
            bits,
            random: Random(0x9e3779b97f4a7c15),
        }
    }

    fn pack(&self, numbers: &[BigUint]) -> Vec<u8> {
        let padded = |x: &BigUint| {
            let mut bytes = x.to_bytes_le();
            bytes.resize(self.bits / 8, 0);
            bytes
        };
        numbers.iter().flat_map(padded).collect()
    }

    fn items(&self, numbers: &[BigUint]) -> Vec<u8> {
        let mut out = vec![0; numbers.len() * E::ROW];
        self.group.from_numbers(&self.pack(numbers), &mut out);
        out
    }

    fn numbers(&self, items: &[u8]) -> Vec<BigUint> {
        let mut out = vec![0; items.len() / E::ROW * self.bits / 8];
        self.group.to_numbers(items, &mut out);
        out.chunks_exact(self.bits / 8)
            .map(BigUint::from_bytes_le)
            .collect()
    }

    /// The edges of limbs, words and p, and random numbers; none is 0 but the first.
    fn some(&mut self, count: usize) -> Vec<BigUint> {
        let one = BigUint::from(1u32);
        let mut out = vec![
            BigUint::ZERO,
            one.clone(),
            &self.p - 1u32,
            &self.p - 2u32,
            self.q.clone(),
        ];
        for shift in [51, 52, 53, 63, 64, 104, 520, 1040, self.bits - 1] {
            out.extend([&one << shift, (&one << shift) - 1u32]);
        }
        // Every limb all ones but some, and carries through all of them.
        out.extend([
            (&one << self.bits) % &self.p,
            &self.p - (&one << 520),
            &self.p - (&one << 52),
        ]);
        while out.len() < count {
            out.push(self.random.number(self.bits) % &self.p);
        }
        out.truncate(count);
        out
    }

    fn run(&self, size: usize, f: impl FnOnce(&mut [u8])) -> Vec<BigUint> {
        let mut out = vec![0; size * E::ROW];
        f(&mut out);
        self.numbers(&out)
    }

    fn exponents(&mut self, count: usize) -> Vec<BigUint> {
        let (one, q) = (BigUint::from(1u32), self.q.clone());
        let mut out = vec![
            BigUint::ZERO,
            one.clone(),
            &q - 1u32,
            &q - 2u32,
            (&one << (self.bits - 2)) - 1u32,
        ];
        // All boundaries of windows of 1 to 10 bits are met by ones, and by zeros.
        out.extend([
            &one << 40,
            (&one << 40) - 1u32,
            &q - (&one << 100),
            &q >> 1u32,
            &one << (self.bits - 2),
        ]);
        while out.len() < count {
            let bits = if self.random.word() % 4 == 0 {
                self.bits - 1
            } else {
                128
            };
            out.push(self.random.number(bits) % &q);
        }
        out.truncate(count);
        out
    }
}

/// Montgomery form is read and written as it is computed with: values up to 2 p go in.
fn products<E: Engine>(bits: usize) {
    let mut case = Case::<E>::new(bits, true, false);
    let engine = &case.group.clone().engine;
    let numbers = case.some(48);
    let one = case.numbers(&case.group.one.clone())[0].clone();
    assert_eq!(one, BigUint::from(1u32));
    let items = case.items(&numbers);
    assert_eq!(case.numbers(&items), numbers);

    let n = numbers.len();
    for shift in 0..n {
        let others: Vec<BigUint> = (0..n).map(|i| numbers[(i + shift) % n].clone()).collect();
        let expected: Vec<BigUint> = numbers
            .iter()
            .zip(&others)
            .map(|(x, y)| x * y % &case.p)
            .collect();
        let others = case.items(&others);
        assert_eq!(
            case.run(n, |out| case.group.multiply(&items, &others, out)),
            expected
        );
    }
    // Long chains of products and squares, never reduced between.
    let at: Vec<usize> = (0..E::LANES).map(|i| (i + 20) * E::ROW).collect();
    let (mut x, y) = (engine.load(&items, &at), engine.load(&items, &at));
    let mut expected: Vec<BigUint> = numbers[20..20 + E::LANES].to_vec();
    for step in 0u32..50 {
        engine.square(&mut x);
        if step.is_multiple_of(3) {
            engine.multiply_into(&mut x, &y);
        }
        for (e, y) in expected.iter_mut().zip(&numbers[20..]) {
            *e = &*e * &*e % &case.p;
            if step.is_multiple_of(3) {
                *e = &*e * y % &case.p;
            }
        }
    }
    engine.reduce(&mut x);
    let mut rows = vec![0; E::LANES * E::ROW];
    let consecutive: Vec<usize> = (0..E::LANES).map(|i| i * E::ROW).collect();
    engine.store(&x, &mut rows, &consecutive);
    assert_eq!(case.numbers(&rows), expected);
    assert_eq!(case.items(&expected), rows);
    // A square is the product with itself.
    for i in 0..n {
        let mut x = engine.load(&items, &[i * E::ROW]);
        let y = x;
        engine.square(&mut x);
        let mut z = y;
        engine.multiply_into(&mut z, &y);
        engine.reduce(&mut x);
        engine.reduce(&mut z);
        let (mut a, mut b) = (vec![0; E::ROW], vec![1; E::ROW]);
        engine.store(&x, &mut a, &[0]);
        engine.store(&z, &mut b, &[0]);
        assert_eq!(a, b);
    }
}

fn bulk<E: Engine>(bits: usize) {
    let mut case = Case::<E>::new(bits, true, false);
    let p = case.p.clone();
    for count in [0, 1, 2, 7, 8, 9, 65, 300] {
        let numbers: Vec<BigUint> = case.some(count + 1)[1..].to_vec();
        let items = case.items(&numbers);
        let inverses = case.run(count, |out| case.group.invert(&items, out));
        assert!(
            numbers
                .iter()
                .zip(&inverses)
                .all(|(x, y)| x * y % &p == BigUint::from(1u32))
        );
        let mut product = BigUint::from(1u32);
        let running: Vec<BigUint> = numbers
            .iter()
            .map(|x| {
                product = &product * x % &p;
                product.clone()
            })
            .collect();
        assert_eq!(
            case.run(count, |out| case.group.running_products(&items, out)),
            running
        );
        assert_eq!(case.numbers(&case.group.products(&items, 1)), [product]);
    }
    let numbers: Vec<BigUint> = case.some(301)[1..].to_vec();
    let items = case.items(&numbers);
    for rows in [1, 2, 3, 10, 100, 150, 300] {
        let product = |row: &[BigUint]| row.iter().fold(BigUint::from(1u32), |x, y| x * y % &p);
        let expected: Vec<BigUint> = numbers.chunks_exact(300 / rows).map(product).collect();
        assert_eq!(case.numbers(&case.group.products(&items, rows)), expected);
    }
    assert_eq!(
        case.numbers(&case.group.products(&[], 3)),
        vec![BigUint::from(1u32); 3]
    );
    assert!(case.group.products(&[], 0).is_empty());
}

fn powers<E: Engine>(bits: usize) {
    let mut case = Case::<E>::new(bits, true, false);
    let p = case.p.clone();
    let (bases, exponents) = (case.some(19), case.exponents(19));
    let expected: Vec<BigUint> = bases
        .iter()
        .zip(&exponents)
        .map(|(x, e)| x.modpow(e, &p))
        .collect();
    let (items, rows) = (case.items(&bases), case.pack(&exponents));
    assert_eq!(
        case.run(19, |out| case.group.powers(&items, &rows, out)),
        expected
    );
    assert_eq!(
        case.run(19, |out| case.group.powers_constant_time(
            &items,
            &rows,
            bits - 1,
            out
        )),
        expected
    );
    for bits in [0, 1, 4, 5, 8, 41, 130] {
        let short: Vec<BigUint> = exponents
            .iter()
            .map(|e| e % (BigUint::from(1u32) << bits))
            .collect();
        let expected: Vec<BigUint> = bases.iter().zip(&short).map(|(x, e)| x.modpow(e, &p)).collect();
        let rows = case.pack(&short);
        assert_eq!(
            case.run(19, |out| case
                .group
                .powers_constant_time(&items, &rows, bits, out)),
            expected
        );
        let table = Table::new(case.group.clone(), &items[3 * E::ROW..4 * E::ROW], bits);
        assert!(table.bytes() > 0 && table.bits() == bits);
        let expected: Vec<BigUint> = short.iter().map(|e| bases[3].modpow(e, &p)).collect();
        assert_eq!(case.run(19, |out| table.powers(&rows, out)), expected);
    }
}

fn multiexp<E: Engine>(bits: usize) {
    let mut case = Case::<E>::new(bits, true, false);
    let p = case.p.clone();
    // Buckets are worth it from about 100 on.
    let n = if bits == 2048 && E::LANES > 1 { 720 } else { 120 };
    // Members, for exponents just below q are taken as negative.
    let bases: Vec<BigUint> = case.some(n + 1)[1..].iter().map(|x| x * x % &p).collect();
    let exponents = case.exponents(n);
    let powers: Vec<BigUint> = bases
        .iter()
        .zip(&exponents)
        .map(|(x, e)| x.modpow(e, &p))
        .collect();
    let (items, rows) = (case.items(&bases), case.pack(&exponents));
    let size = bits / 8;
    for (count, parts) in [
        (0, 1),
        (0, 2),
        (1, 1),
        (5, 1),
        (16, 1),
        (16, 16),
        (60, 3),
        (n, 1),
        (n, 2),
        (n, 10),
        (n, n),
    ] {
        let product = |row: &[BigUint]| row.iter().fold(BigUint::from(1u32), |x, y| x * y % &p);
        let expected: Vec<BigUint> = match count {
            0 => vec![BigUint::from(1u32); parts],
            _ => powers[..count].chunks_exact(count / parts).map(product).collect(),
        };
        let (items, rows) = (&items[..count * E::ROW], &rows[..count * size]);
        assert_eq!(
            case.run(parts, |out| case.group.multiexp(items, rows, parts, out)),
            expected,
            "{count} {parts}"
        );
    }
}

fn membership<E: Engine>(bits: usize, safe_prime: bool, prime_cofactor: bool) {
    let mut case = Case::<E>::new(bits, safe_prime, prime_cofactor);
    let (p, width) = (case.p.clone(), bits / 8);
    let members: Vec<BigUint> = case.some(330)[1..].iter().map(|x| x * x % &p).collect();
    let ask = |numbers: &[BigUint]| {
        let mut data = case.pack(numbers);
        data.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        let (mut items, mut mask) = (vec![7; numbers.len() * E::ROW], vec![7; numbers.len()]);
        case.group.decode(&data, &mut items, &mut mask);
        let mut back = vec![0; numbers.len() * width];
        case.group.encode(&items, &mut back);
        for ((x, y), found) in data.chunks_exact(width).zip(back.chunks_exact(width)).zip(&mask) {
            let one = |y: &[u8]| y[width - 1] == 1 && y[..width - 1].iter().all(|&byte| byte == 0);
            assert!(if *found == 1 { x == y } else { one(y) });
        }
        mask
    };
    for count in [0, 1, 8, 31, 40, 329] {
        assert_eq!(ask(&members[..count]), vec![1; count]);
    }
    let limit = BigUint::from(1u32) << bits;
    let bad = [
        BigUint::ZERO,
        p.clone(),
        &p - 1u32,
        limit - 1u32,
        &p + 1u32,
        &p - &members[40],
    ];
    for count in [9, 40, 329] {
        let mut numbers = members[..count].to_vec();
        let mut expected = vec![1; count];
        for (i, x) in bad.iter().enumerate() {
            numbers[i + 2] = x.clone();
            expected[i + 2] = 0;
        }
        assert_eq!(ask(&numbers), expected);
        // One alone among many.
        let mut numbers = members[..count].to_vec();
        numbers[count / 2] = &p - &numbers[count / 2];
        let mut expected = vec![1; count];
        expected[count / 2] = 0;
        assert_eq!(ask(&numbers), expected);
    }
}

fn uniform<E: Engine>(bits: usize) {
    let mut case = Case::<E>::new(bits, true, false);
    let (p, size) = (case.p.clone(), bits / 8 + 16);
    let limit = BigUint::from(1u32) << (8 * size);
    let mut numbers = vec![
        BigUint::ZERO,
        p.clone(),
        &p * 5u32,
        &limit - 1u32,
        limit - (BigUint::from(1u32) << bits),
    ];
    numbers.extend((0..6).map(|_| case.random.number(8 * size)));
    let data: Vec<u8> = numbers
        .iter()
        .flat_map(|x| {
            let mut bytes = x.to_bytes_le();
            bytes.resize(size, 0);
            bytes.reverse();
            bytes
        })
        .collect();
    let expected: Vec<BigUint> = numbers
        .iter()
        .map(|x| (x * x % &p).max(BigUint::from(1u32)))
        .collect();
    assert_eq!(
        case.run(numbers.len(), |out| case.group.from_uniform(&data, out)),
        expected
    );
}

fn everything<E: Engine>(bits: usize) {
    products::<E>(bits);
    bulk::<E>(bits);
    powers::<E>(bits);
    multiexp::<E>(bits);
    uniform::<E>(bits);
    membership::<E>(bits, true, false);
    membership::<E>(bits, false, true);
    membership::<E>(bits, false, false);
}

#[test]
fn portable_2048() {
    everything::<Portable<32>>(2048);
}

#[test]
fn portable_others() {
    products::<Portable<48>>(3072);
    products::<Portable<64>>(4096);
    powers::<Portable<48>>(3072);
    membership::<Portable<64>>(4096, true, false);
}

#[cfg(target_arch = "x86_64")]
mod ifma {
    use super::*;
    use crate::modp::Ifma;

    fn present() -> bool {
        let present = crate::mode() == "ifma";
        if !present {
            eprintln!("not tested: this processor has no AVX-512 IFMA");
        }
        present
    }

    #[test]
    fn bits_2048() {
        if present() {
            everything::<Ifma<40>>(2048);
        }
    }

    #[test]
    fn bits_3072() {
        if present() {
            everything::<Ifma<60>>(3072);
        }
    }

    #[test]
    fn bits_4096() {
        if present() {
            everything::<Ifma<80>>(4096);
        }
    }
}

#[test]
fn inverses_and_symbols() {
    for bits in [2048, 3072, 4096] {
        let mut case = Case::<Portable<32>>::new(2048, true, false);
        let p = prime(bits);
        let words = |x: &BigUint| {
            let mut words = x.to_u64_digits();
            words.resize(bits / 64, 0);
            words
        };
        for i in 0..40 {
            let x = match i {
                0 => BigUint::from(1u32),
                1 => &p - 1u32,
                2 => &p >> 1u32,
                3 => BigUint::from(1u32) << (bits - 1),
                _ => case.random.number(bits) % &p,
            };
            let inverse = inverse::invert(&words(&x), &words(&p));
            let inverse =
                BigUint::from_bytes_le(&inverse.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>());
            assert_eq!(x.clone() * inverse % &p, BigUint::from(1u32));
            // -1 is no square, so of x^2 and -x^2 one is.
            let square = &x * &x % &p;
            assert_eq!(inverse::is_square(&words(&square), &words(&p)), Some(true));
            assert_eq!(
                inverse::is_square(&words(&(&p - square)), &words(&p)),
                Some(false)
            );
        }
    }
}

#[test]
fn digits() {
    let number = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
    let value = u64::from_le_bytes(number);
    for start in 0..70 {
        for bits in 1..12 {
            let expected = if start < 64 {
                value >> start & ((1 << bits) - 1)
            } else {
                0
            };
            assert_eq!(digit(&number, start, bits), expected);
        }
    }
}
