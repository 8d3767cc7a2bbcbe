//! Jacobi symbols of eight numbers at once: the steps of `inverse::is_square`, 51 at a time, in lanes.
//!
//! f and g never become negative, so that limbs and the matrix of a batch need no sign. Variable time: as many batches
//! as the slowest lane needs.

use core::arch::x86_64::*;

use super::kernel::Lanes;

/// Steps of a batch: entries of its matrix are at most 2^51, and fit the 52 bits of a factor.
const STEPS: u32 = 51;

/// The state of a batch: (f, g) becomes (u f + v g, q f + r g) / 2^51.
struct Batch {
    u: __m512i,
    v: __m512i,
    q: __m512i,
    r: __m512i,
}

/// Whether each x, 0 < x < p, is a square modulo the odd prime p; none where the steps did not end.
///
/// # Safety
/// The processor has AVX-512 F and IFMA.
#[target_feature(enable = "avx512f,avx512ifma")]
pub unsafe fn are_squares<const L: usize>(x: &Lanes<L>, p: &Lanes<L>) -> [Option<bool>; 8] {
    let (mut f, mut g) = (*p, *x);
    let (mut eta, mut symbol) = (_mm512_set1_epi64(-1), _mm512_setzero_si512());
    let (mut limbs, mut done, mut odd_symbols) = (L, 0u8, 0u8);
    for _ in 0..8 * L {
        // SAFETY: as this function's; 2 <= limbs <= L.
        unsafe {
            let batch = steps(&f, &g, &mut eta, &mut symbol);
            apply(&mut f, &mut g, limbs, &batch);
            while limbs > 2 && is_zero(&f, limbs - 1) && is_zero(&g, limbs - 1) {
                limbs -= 1;
            }
            // Where f is 1 the symbol is known; once g is 1 as well, neither changes.
            let fresh = ones(&f, limbs) & !done;
            odd_symbols |= fresh & _mm512_test_epi64_mask(symbol, _mm512_set1_epi64(2));
            done |= fresh;
        }
        if done == 0xff {
            break;
        }
    }
    core::array::from_fn(|lane| (done >> lane & 1 == 1).then_some(odd_symbols >> lane & 1 == 0))
}

/// 51 steps on the low 64 bits; bit 1 of `symbol` keeps the sign.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn steps<const L: usize>(
    f: &Lanes<L>,
    g: &Lanes<L>,
    eta: &mut __m512i,
    symbol: &mut __m512i,
) -> Batch {
    let low = |x: &Lanes<L>| {
        let row = x.0.as_ptr().cast::<__m512i>();
        // SAFETY: L is at least 2.
        let (x0, x1) = unsafe { (*row, *row.add(1)) };
        _mm512_or_si512(x0, _mm512_slli_epi64::<52>(x1))
    };
    let (mut f, mut g) = (low(f), low(g));
    let (one, zero) = (_mm512_set1_epi64(1), _mm512_setzero_si512());
    let (mut u, mut v, mut q, mut r) = (one, zero, zero, one);
    let (mut e, mut s) = (*eta, *symbol);
    for _ in 0..STEPS {
        let odd = _mm512_test_epi64_mask(g, one);
        let swap = _mm512_mask_cmplt_epi64_mask(odd, e, zero);
        // Reciprocity: the sign changes where both are 3 modulo 4.
        s = _mm512_mask_xor_epi64(s, swap, s, _mm512_and_si512(f, g));
        e = _mm512_mask_sub_epi64(e, swap, zero, e);
        (f, g) = (
            _mm512_mask_mov_epi64(f, swap, g),
            _mm512_mask_mov_epi64(g, swap, f),
        );
        (u, q) = (
            _mm512_mask_mov_epi64(u, swap, q),
            _mm512_mask_mov_epi64(q, swap, u),
        );
        (v, r) = (
            _mm512_mask_mov_epi64(v, swap, r),
            _mm512_mask_mov_epi64(r, swap, v),
        );
        g = _mm512_srli_epi64::<1>(_mm512_mask_add_epi64(g, odd, g, f));
        q = _mm512_mask_add_epi64(q, odd, q, u);
        r = _mm512_mask_add_epi64(r, odd, r, v);
        u = _mm512_add_epi64(u, u);
        v = _mm512_add_epi64(v, v);
        e = _mm512_sub_epi64(e, one);
        // (2/f) is -1 where f is 3 or 5 modulo 8: s ^ f ^ f >> 1.
        s = _mm512_ternarylogic_epi64::<0x96>(s, f, _mm512_srli_epi64::<1>(f));
    }
    (*eta, *symbol) = (e, s);
    Batch { u, v, q, r }
}

/// The matrix on all limbs; columns are below 2^55.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
unsafe fn apply<const L: usize>(f: &mut Lanes<L>, g: &mut Lanes<L>, limbs: usize, batch: &Batch) {
    let (f, g): (*mut __m512i, *mut __m512i) = (f.0.as_mut_ptr().cast(), g.0.as_mut_ptr().cast());
    let &Batch { u, v, q, r } = batch;
    let mask = _mm512_set1_epi64((1 << 52) - 1);
    let zero = _mm512_setzero_si512();
    // What the column gets from the one below, and the limb below after carrying.
    let (mut x, mut y, mut x_limb, mut y_limb) = (zero, zero, zero, zero);
    // SAFETY: i < limbs <= L.
    unsafe {
        for i in 0..limbs {
            let (a, b) = (*f.add(i), *g.add(i));
            x = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(x, u, a), v, b);
            y = _mm512_madd52lo_epu64(_mm512_madd52lo_epu64(y, q, a), r, b);
            let (x_next, y_next) = (_mm512_and_si512(x, mask), _mm512_and_si512(y, mask));
            if i > 0 {
                // The sum over 2^51: one bit of a limb and 51 of the next.
                *f.add(i - 1) = shifted(x_limb, x_next, mask);
                *g.add(i - 1) = shifted(y_limb, y_next, mask);
            }
            (x_limb, y_limb) = (x_next, y_next);
            x = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(_mm512_srli_epi64::<52>(x), u, a), v, b);
            y = _mm512_madd52hi_epu64(_mm512_madd52hi_epu64(_mm512_srli_epi64::<52>(y), q, a), r, b);
        }
        // f and g stay below the larger of the two, so the top fits.
        *f.add(limbs - 1) = shifted(x_limb, x, mask);
        *g.add(limbs - 1) = shifted(y_limb, y, mask);
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn shifted(low: __m512i, high: __m512i, mask: __m512i) -> __m512i {
    _mm512_or_si512(
        _mm512_srli_epi64::<51>(low),
        _mm512_and_si512(_mm512_slli_epi64::<1>(high), mask),
    )
}

/// Whether a limb is 0 in all lanes.
fn is_zero<const L: usize>(x: &Lanes<L>, limb: usize) -> bool {
    x.0[limb] == [0; 8]
}

/// The lanes that are 1.
fn ones<const L: usize>(x: &Lanes<L>, limbs: usize) -> u8 {
    let lanes = (0..8).filter(|&lane| x.0[0][lane] == 1 && x.0[1..limbs].iter().all(|limb| limb[lane] == 0));
    lanes.map(|lane| 1 << lane).sum()
}
