//! Portable kernels in plain Rust. Every other set is compared with them, and they run where no
//! other set applies. The compiler vectorises the lane loops with the instructions of the target.

use super::simd::{LANES, Simd};

/// Portable lanes around the int8 multiplication of a set of kernels. This type is a token if the
/// multiplication is one.
#[derive(Clone, Copy)]
pub(crate) struct Portable<M>(pub(super) M);

/// The portable kernels, which need no processor feature.
pub(crate) type Scalar = Portable<Plain>;
pub(crate) const SCALAR: Scalar = Portable(Plain);

/// Multiplication in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

/// An int8 multiplication. Its tiles are one block of sixteen columns wide.
pub(crate) trait ScalarMultiply: Copy {
    /// See [`Simd::TILE_ROWS`].
    const TILE_ROWS: usize;

    /// Computes [`Simd::tile`] for one block: adds to `acc[r]` the products of row `r` with the
    /// block at `w`.
    ///
    /// # Safety
    /// `a` points to `R` rows of `4 * groups` bytes, `a_stride` bytes apart; `w` to `64 * groups`
    /// bytes.
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [[i32; LANES]; R],
    );
}

/// 1.5 * 2^23: adding it to a small f32 leaves the rounded integer (ties to even) in the low
/// mantissa bits.
const ROUNDER: f32 = 12_582_912.0;

impl<M: ScalarMultiply> Simd for Portable<M> {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type H = [i32; LANES];

    const TILE_ROWS: usize = M::TILE_ROWS;
    const TILE_BLOCKS: usize = 1;
    const COMPACT: bool = true;
    const SIGNED_BIAS: i32 = 0;
    const UNSIGNED_BIAS: i32 = -128;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> Self::F {
        *from
    }

    #[inline(always)]
    fn store(self, value: Self::F, to: &mut [f32; LANES]) {
        *to = value;
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        core::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        core::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        core::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        core::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        core::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn abs(self, a: Self::F) -> Self::F {
        core::array::from_fn(|i| f32::from_bits(a[i].to_bits() & 0x7fff_ffff))
    }

    #[inline(always)]
    fn round(self, a: Self::F) -> Self::I {
        core::array::from_fn(|i| ((a[i] + ROUNDER).to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32))
    }

    #[inline(always)]
    fn reduce_add(self, a: Self::F) -> f32 {
        let eight: [f32; 8] = core::array::from_fn(|i| a[i] + a[i + 8]);
        let four: [f32; 4] = core::array::from_fn(|i| eight[i] + eight[i + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }

    #[inline(always)]
    fn reduce_max(self, a: Self::F) -> f32 {
        let mut greatest = a[0];
        for lane in a {
            greatest = if greatest > lane { greatest } else { lane };
        }
        greatest
    }

    #[inline(always)]
    fn splat_i(self, value: i32) -> Self::I {
        [value; LANES]
    }

    #[inline(always)]
    fn load_i(self, from: &[i32; LANES]) -> Self::I {
        *from
    }

    #[inline(always)]
    fn store_i(self, value: Self::I, to: &mut [i32; LANES]) {
        *to = value;
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Self::I {
        core::array::from_fn(|i| i32::from(from[i]))
    }

    #[inline(always)]
    fn store_low_bytes(self, value: Self::I, to: &mut [u8; LANES]) {
        *to = core::array::from_fn(|i| value[i] as u8);
    }

    #[inline(always)]
    fn limit_to_i16(self, a: Self::F) -> Self::F {
        self.max(a, self.splat(-32_768.0))
    }

    #[inline(always)]
    fn round_and_narrow(self, [a, _]: [Self::F; 2]) -> Self::H {
        self.round(a)
    }

    #[inline(always)]
    fn splat_h(self, value: i16) -> Self::H {
        [i32::from(value); LANES]
    }

    #[inline(always)]
    fn add_h(self, a: Self::H, b: Self::H) -> Self::H {
        self.add_i(a, b)
    }

    #[inline(always)]
    fn mul_h(self, a: Self::H, b: Self::H) -> Self::H {
        core::array::from_fn(|i| a[i].wrapping_mul(b[i]).wrapping_add(1 << 14) >> 15)
    }

    #[inline(always)]
    fn add_all(self, sum: Self::I, a: Self::H) -> Self::I {
        self.add_i(sum, a)
    }

    #[inline(always)]
    fn store_bytes(self, value: Self::H, to: &mut [u8]) {
        if let Some(to) = to.first_chunk_mut() {
            self.store_low_bytes(value, to);
        }
    }

    #[inline(always)]
    fn store_interleaved(self, rows: [Self::I; 4], to: &mut [u8; 4 * LANES]) {
        *to = core::array::from_fn(|i| rows[i % 4][i / 4] as u8);
    }

    #[inline(always)]
    fn to_f32(self, a: Self::I) -> Self::F {
        core::array::from_fn(|i| a[i] as f32)
    }

    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        core::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    #[inline(always)]
    fn mul_i(self, a: Self::I, b: Self::I) -> Self::I {
        core::array::from_fn(|i| a[i].wrapping_mul(b[i]))
    }

    #[inline(always)]
    fn xor_i(self, a: Self::I, b: Self::I) -> Self::I {
        core::array::from_fn(|i| a[i] ^ b[i])
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::I; LANES]) -> [Self::I; LANES] {
        let mut columns = rows;
        for (i, column) in columns.iter_mut().enumerate() {
            for (lane, row) in column.iter_mut().zip(&rows) {
                *lane = row[i];
            }
        }
        columns
    }

    #[inline(always)]
    fn reduce_add_i(self, a: Self::I) -> i32 {
        a.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        _w_stride: usize,
        groups: usize,
        acc: &mut [[Self::I; B]; R],
    ) {
        // Tiles are one block wide, so the blocks of all rows form one array of rows.
        if let Some(acc) = acc.as_flattened_mut().first_chunk_mut() {
            // SAFETY: the caller's promise.
            unsafe { self.0.tile::<R>(a.cast(), a_stride, w, groups, acc) };
        }
    }
}

impl ScalarMultiply for Plain {
    const TILE_ROWS: usize = 2;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [[i32; LANES]; R],
    ) {
        // The compiler keeps a local copy in registers, but not values behind a reference.
        let mut sums = *acc;
        for group in 0..groups {
            // SAFETY: the caller promises `64 * groups` bytes.
            let weights = unsafe { w.add(group * 4 * LANES).cast::<[[i8; 4]; LANES]>().read() };
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller promises `R` rows of `4 * groups` bytes, `a_stride` apart.
                let row = unsafe { a.add(r * a_stride + group * 4).cast::<[i8; 4]>().read() };
                let [x0, x1, x2, x3] = row.map(i32::from);
                for (sum, weights) in sums.iter_mut().zip(&weights) {
                    let [w0, w1, w2, w3] = weights.map(i32::from);
                    *sum = sum.wrapping_add((x0 * w0 + x1 * w1) + (x2 * w2 + x3 * w3));
                }
            }
        }
        *acc = sums;
    }
}
