use sha3::Shake128;
use sha3::digest::{ExtendableOutput, Update, XofReader};

use super::*;

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut x = seed | 1;
    (0..count)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 56) as u8
        })
        .collect()
}

#[test]
fn shake128_of_rows_is_that_of_the_crate() {
    for count in [1, 7, 8, 9, 300] {
        for prefix in [0, 1, 167, 168, 169, 400] {
            for width in [1, 2, 99, 167, 168, 169, 336, 1000] {
                for length in [1, 8, 48, 168, 169, 500] {
                    let (prefix, rows) = (bytes(prefix, 3), bytes(count * width, 5));
                    let mut found = vec![0; count * length];
                    shake128_rows(&prefix, &rows, width, length, &mut found);
                    for (row, found) in rows.chunks(width).zip(found.chunks(length)) {
                        let mut hash = Shake128::default();
                        hash.update(&prefix);
                        hash.update(row);
                        let mut expected = vec![0; length];
                        hash.finalize_xof().read(&mut expected);
                        assert_eq!(found, expected);
                    }
                }
            }
        }
    }
}

#[test]
fn sha256_of_rows_is_that_of_the_crate() {
    for count in [1, 255, 256, 257] {
        for width in [1, 55, 64, 1000] {
            let (prefix, rows) = (bytes(70, 3), bytes(count * width, 5));
            let mut found = vec![0; count * 32];
            sha256_rows(&prefix, &rows, width, &mut found);
            for (row, found) in rows.chunks(width).zip(found.chunks(32)) {
                assert_eq!(found, &Sha256::digest([&prefix, row].concat())[..]);
            }
        }
    }
}
