//! What multiplies residues, one or eight at a time: the floor under the algorithms.

/// Which entry of a table each lane takes.
pub type Digits = [u64; 8];

/// Arithmetic modulo one p, in Montgomery form, constant-time throughout.
///
/// A residue outside is a row: limbs of eight bytes, little-endian. Rows that leave the module are reduced
/// below p, so that equal residues are equal bytes; others are below 2 p.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Residues at once, at most 8.
    const LANES: usize;
    /// Bytes of a row.
    const ROW: usize;
    /// Bits of a window of a fixed base's table.
    const TABLE_BITS: usize;
    /// That many residues, below 2 p each.
    type Lanes: Copy + Send + Sync;

    /// For p of the bits this engine is for.
    fn new(p: &[u64]) -> Self;

    /// R modulo p in every lane.
    fn one(&self) -> &Self::Lanes;
    fn multiply(&self, a: &Self::Lanes, b: &Self::Lanes, out: &mut Self::Lanes);
    fn multiply_into(&self, a: &mut Self::Lanes, b: &Self::Lanes);
    fn square(&self, a: &mut Self::Lanes);
    /// a + b, of residues that came from products; not below 2 p, but fit to be multiplied.
    fn add_into(&self, a: &mut Self::Lanes, b: &Self::Lanes);
    /// Below p.
    fn reduce(&self, a: &mut Self::Lanes);

    /// Lane i from the row at byte `at[i]`; lanes beyond `at` are one.
    fn load(&self, data: &[u8], at: &[usize]) -> Self::Lanes;
    /// Lane i to the row at byte `at[i]`, as it is.
    fn store(&self, x: &Self::Lanes, data: &mut [u8], at: &[usize]);
    /// Every lane from one row.
    fn broadcast(&self, row: &[u8]) -> Self::Lanes;

    /// The limbs of a number in little-endian bytes, below 2 p; not in Montgomery form.
    fn limbs(&self, number: &[u8], row: &mut [u8]);
    /// The number in little-endian bytes of limbs below p; not in Montgomery form.
    fn number(&self, row: &[u8], number: &mut [u8]);

    /// Whether each number, 0 < x < p and not in Montgomery form, is a square; none where that was not found out.
    /// Variable time.
    fn are_squares(&self, x: &Self::Lanes) -> [Option<bool>; 8];

    /// Lane i from entry `digits[i]` of a table of up to 64; all are read.
    fn select(&self, table: &[Self::Lanes], digits: &Digits) -> Self::Lanes;
    /// Puts a row into a plane: the entries of one window of a fixed base.
    fn put(&self, plane: &mut [u64], entry: usize, row: &[u8]);
    /// Lane i from entry `digits[i]` of a plane; all are read.
    fn lookup(&self, plane: &[u64], digits: &Digits) -> Self::Lanes;
}

/// The low `bits` < 58 of a little-endian number from bit `start` on. Which bytes are read depends on `start` alone.
pub fn digit(exponent: &[u8], start: usize, bits: usize) -> u64 {
    let first = start / 8;
    let mut word = 0;
    for i in 0..(start % 8 + bits).div_ceil(8) {
        let byte = if first + i < exponent.len() {
            exponent[first + i]
        } else {
            0
        };
        word |= (byte as u64) << (8 * i);
    }
    word >> (start % 8) & ((1 << bits) - 1)
}
