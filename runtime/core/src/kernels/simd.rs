//! The operations in which the element-wise kernels are written, on sixteen lanes of f32 or i32.
//!
//! Sixteen is a property of the arithmetic, not of a machine. Reductions keep sixteen partial
//! results and combine them in one fixed tree. A machine with four lanes per register imitates one
//! with sixteen, so every target computes the same bits. For the same reason there is no fused
//! multiply-add here.

/// Lanes of a vector, and output columns of a weight block.
pub const LANES: usize = 16;

/// A sixteen-lane instruction set. The value is a token: it can be made only where the instructions
/// exist, so its methods are safe to call.
///
/// Implementations are `#[inline(always)]`. They use the processor's instructions only after they
/// are inlined into a function that enables the target features (see `kernel_set!`).
pub(crate) trait Simd: Copy {
    /// Sixteen f32.
    type F: Copy;
    /// Sixteen i32.
    type I: Copy;
    /// [`Simd::NARROW`] vectors of i16. Each set keeps their lanes in its own order;
    /// [`Simd::store_bytes`] restores the order.
    type H: Copy;

    /// Rows of the largest int8 GEMM tile that stays in registers.
    const TILE_ROWS: usize;
    /// Column blocks (of sixteen columns) of that tile.
    const TILE_BLOCKS: usize;
    /// Depth that one tile covers before the next rows are processed; a multiple of four. It keeps
    /// the weights of the tile in the first-level cache on sets whose tiles have too few rows for
    /// the second level to keep up.
    const TILE_DEPTH: usize = usize::MAX;
    /// Whether short code counts more than independent operations side by side: where every lane is
    /// an instruction of its own, in the flash of a microcontroller.
    const COMPACT: bool = false;
    /// Vectors of sixteen lanes that are narrowed to 16 bits together.
    const NARROW: usize = if Self::COMPACT { 1 } else { 2 };
    /// Vectors that element-wise kernels process at once: 1, 2 or 4, as many as the registers
    /// hold.
    const VECTORS_AT_ONCE: usize = 1;
    /// Bias added to a signed activation to encode it for this instruction set: 128 where the
    /// multiply instruction takes unsigned activations, 0 where it takes signed ones. The weight
    /// sums undo it.
    const SIGNED_BIAS: i32;
    /// Bias added to a probability 0..=255: -128 where the multiply instruction takes signed
    /// activations, else 0.
    const UNSIGNED_BIAS: i32;

    fn splat(self, value: f32) -> Self::F;
    fn load(self, from: &[f32; LANES]) -> Self::F;
    fn store(self, value: Self::F, to: &mut [f32; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// Computes `if a > b { a } else { b }` in each lane.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Computes `if a < b { a } else { b }` in each lane.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// Computes `max(abs(a), b)`, where `b` is not negative.
    #[inline(always)]
    fn max_magnitude(self, a: Self::F, b: Self::F) -> Self::F {
        self.max(self.abs(a), b)
    }
    /// Clamps each lane to the range from `-limit` to `limit`. A NaN may become any number of the
    /// range.
    #[inline(always)]
    fn clamp(self, a: Self::F, limit: f32) -> Self::F {
        self.min(self.max(a, self.splat(-limit)), self.splat(limit))
    }
    /// Rounds to the nearest integer, ties to even, for magnitudes below 2^22.
    fn round(self, a: Self::F) -> Self::I;
    /// Adds all lanes in one fixed tree: lane i + lane i+8, then +4, +2, +1.
    fn reduce_add(self, a: Self::F) -> f32;
    /// Returns the greatest lane. No lane is NaN.
    fn reduce_max(self, a: Self::F) -> f32;

    fn splat_i(self, value: i32) -> Self::I;
    fn load_i(self, from: &[i32; LANES]) -> Self::I;
    fn store_i(self, value: Self::I, to: &mut [i32; LANES]);
    /// Sign-extends sixteen i8.
    fn load_i8(self, from: &[i8; LANES]) -> Self::I;
    /// Stores the low byte of each lane.
    fn store_low_bytes(self, value: Self::I, to: &mut [u8; LANES]);
    /// Replaces lanes below the range of i16 by its least number, and NaN by any number of the
    /// range; no lane is above it. Does nothing where [`Simd::round_and_narrow`] saturates.
    #[inline(always)]
    fn limit_to_i16(self, a: Self::F) -> Self::F {
        a
    }
    /// Rounds [`Simd::NARROW`] vectors, whose lanes are those that [`Simd::limit_to_i16`] returns.
    fn round_and_narrow(self, a: [Self::F; 2]) -> Self::H;
    fn splat_h(self, value: i16) -> Self::H;
    fn add_h(self, a: Self::H, b: Self::H) -> Self::H;
    /// Computes `(a * b + 2^14) >> 15` in each lane: the rounded product of two numbers with
    /// fifteen fractional bits. At least one of the two is above -2^15.
    fn mul_h(self, a: Self::H, b: Self::H) -> Self::H;
    /// Adds all lanes of `a` to those of `sum`, in any order.
    fn add_all(self, sum: Self::I, a: Self::H) -> Self::I;
    /// Stores each lane as a byte. The lanes are encoded activations: 0..=255 if
    /// [`Simd::SIGNED_BIAS`] is 128, otherwise -128..=127. `to` has room for all of them.
    fn store_bytes(self, value: Self::H, to: &mut [u8]);
    /// Stores the low bytes of four rows, interleaved by column: byte `j` of 32-bit group `i` is
    /// the low byte of lane `i` of `rows[j]`.
    fn store_interleaved(self, rows: [Self::I; 4], to: &mut [u8; 4 * LANES]);
    fn to_f32(self, a: Self::I) -> Self::F;
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn mul_i(self, a: Self::I, b: Self::I) -> Self::I;
    fn xor_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// Returns the transpose of a matrix of sixteen rows.
    fn transpose(self, rows: [Self::I; LANES]) -> [Self::I; LANES];
    fn reduce_add_i(self, a: Self::I) -> i32;

    /// Adds to `acc[r][b]` the products of `R` rows of activations with `B` blocks of sixteen
    /// columns.
    ///
    /// # Safety
    /// `a` points to `R` rows of `4 * groups` bytes, `a_stride` bytes apart; `w` to `B` blocks of
    /// `64 * groups` bytes, `w_stride` bytes apart.
    unsafe fn tile<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        groups: usize,
        acc: &mut [[Self::I; B]; R],
    );

    /// Multiplies and adds in `rounds` rounds and returns the number of products. Some instruction
    /// sets do this from registers alone; the others multiply a tile in the first-level cache. The
    /// rate is the upper limit for a GEMM.
    #[cfg(feature = "internals")]
    #[inline(always)]
    fn multiply_only(self, rounds: usize) -> u64 {
        // The match is decided at compile time: tiles larger than those of the instruction set are
        // never compiled.
        match Self::TILE_ROWS {
            4.. => multiply_tiles::<_, 4>(self, rounds),
            2.. => multiply_tiles::<_, 2>(self, rounds),
            _ => multiply_tiles::<_, 1>(self, rounds),
        }
    }

    /// Computes [`Simd::tile`] and fetches `ahead` meanwhile, where this instruction set benefits
    /// from it.
    ///
    /// # Safety
    /// As for [`Simd::tile`].
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
    unsafe fn tile_fetching<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        groups: usize,
        acc: &mut [[Self::I; B]; R],
        _ahead: Ahead<'_>,
    ) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.tile(a, a_stride, w, w_stride, groups, acc) }
    }
}

#[cfg(feature = "internals")]
#[inline(always)]
fn multiply_tiles<S: Simd, const R: usize>(s: S, rounds: usize) -> u64 {
    const GROUPS: usize = 64;
    let a = core::hint::black_box([1u8; 4 * GROUPS]);
    let w = core::hint::black_box([1i8; GROUPS * 4 * LANES]);
    let mut acc = [[s.splat_i(0)]; R];
    for _ in 0..rounds {
        // SAFETY: every row is `a` and the block is `w`; both have `GROUPS` groups.
        unsafe { s.tile(a.as_ptr(), 0, w.as_ptr(), 0, GROUPS, &mut acc) };
        acc = core::hint::black_box(acc);
    }
    (rounds * R * GROUPS * 4 * LANES) as u64
}

/// Bytes that will be read soon, divided among the steps of the tiles that run before that.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<'a> {
    bytes: &'a [i8],
    /// Cache lines per step.
    pub lines: usize,
}

/// Bytes per cache line.
pub(crate) const LINE: usize = 64;

impl<'a> Ahead<'a> {
    /// Divides `bytes` among `steps` steps.
    pub(crate) fn new(bytes: &'a [i8], steps: usize) -> Self {
        Self { bytes, lines: bytes.len().div_ceil(LINE * steps.max(1)) }
    }

    /// Takes the share of the next `steps` steps.
    #[inline(always)]
    pub(crate) fn take(&mut self, steps: usize) -> Self {
        let (share, rest) = self.bytes.split_at((steps * self.lines * LINE).min(self.bytes.len()));
        self.bytes = rest;
        Self { bytes: share, lines: self.lines }
    }

    /// Returns the address of the share. The lines of a step may reach beyond its end, which is
    /// allowed for a prefetch.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn pointer(&self) -> *const i8 {
        self.bytes.as_ptr()
    }
}
