//! The int8 GEMM, in tiles that stay in registers.

use core::ops::Range;

use super::{lanes, lanes_mut};
use crate::kernels::Operand;
use crate::kernels::simd::{Ahead, LANES, Simd};

/// Columns whose weights are fetched while those before them are multiplied.
pub(crate) const PANEL: usize = 64;

/// Computes the int8 GEMM: for each row of `a` and each column, the i32 sum of products, with the
/// biases of the encoding undone. Shapes: `a` rows x `depth`, `weights`
/// `[columns/16][depth/4][16][4]`, `sums` columns, `out` rows x columns.
///
/// `next` holds the bytes that the caller reads next. They are fetched towards the processor during
/// the GEMM.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
pub(crate) fn gemm<S: Simd>(
    s: S,
    operand: Operand,
    a: &[u8],
    depth: usize,
    weights: &[i8],
    sums: &[i32],
    out: &mut [i32],
    next: &[i8],
) {
    let columns = sums.len();
    let rows = a.len() / depth;
    assert!(depth.is_multiple_of(4) && columns.is_multiple_of(LANES));
    assert!(a.len() == rows * depth && weights.len() == columns * depth && out.len() == rows * columns);
    let bias = match operand {
        Operand::Signed => S::SIGNED_BIAS,
        Operand::Unsigned => S::UNSIGNED_BIAS,
    };
    let mut job = Gemm { s, a, depth, weights, sums, bias, columns, ahead: Ahead::new(&[], 1) };
    let mut column = 0;
    while column < columns {
        let end = columns.min(column + PANEL);
        let ahead = match columns.min(end + PANEL) {
            next_end if next_end > end => &weights[end * depth..next_end * depth],
            _ => next,
        };
        let tiles = rows.div_ceil(S::TILE_ROWS) * (end - column).div_ceil(S::TILE_BLOCKS * LANES);
        job.ahead = Ahead::new(ahead, tiles * depth / 4);
        while column < end {
            let blocks = ((end - column) / LANES).min(S::TILE_BLOCKS);
            match blocks {
                4 => job.columns::<4>(column, rows, out),
                3 => job.columns::<3>(column, rows, out),
                2 => job.columns::<2>(column, rows, out),
                _ => job.columns::<1>(column, rows, out),
            }
            column += blocks * LANES;
        }
    }
}

struct Gemm<'a, S> {
    s: S,
    a: &'a [u8],
    depth: usize,
    weights: &'a [i8],
    sums: &'a [i32],
    bias: i32,
    columns: usize,
    ahead: Ahead<'a>,
}

impl<S: Simd> Gemm<'_, S> {
    #[inline(always)]
    fn columns<const B: usize>(&mut self, column: usize, rows: usize, out: &mut [i32]) {
        if B > S::TILE_BLOCKS {
            return;
        }
        let mut first = 0usize;
        loop {
            let part = first..self.depth.min(first.saturating_add(S::TILE_DEPTH));
            let mut row = 0;
            while row < rows {
                // A tile of few rows has few sums, which wait for each other. So the last two tiles
                // share their rows if the last one would be low.
                let tile_rows = match rows - row {
                    left if left > S::TILE_ROWS && left < S::TILE_ROWS + S::TILE_ROWS / 2 => left.div_ceil(2),
                    left => left.min(S::TILE_ROWS),
                };
                match tile_rows {
                    6.. => self.tile::<6, B>(row, column, &part, out),
                    5 => self.tile::<5, B>(row, column, &part, out),
                    4 => self.tile::<4, B>(row, column, &part, out),
                    3 => self.tile::<3, B>(row, column, &part, out),
                    2 => self.tile::<2, B>(row, column, &part, out),
                    _ => self.tile::<1, B>(row, column, &part, out),
                }
                row += tile_rows;
            }
            first = part.end;
            if S::TILE_DEPTH == usize::MAX || first == self.depth {
                return;
            }
        }
    }

    /// Computes rows `row..row + R` of the blocks that begin at `column`: adds the products of
    /// `part` of the depth to those of the parts before it.
    #[inline(always)]
    fn tile<const R: usize, const B: usize>(
        &mut self,
        row: usize,
        column: usize,
        part: &Range<usize>,
        out: &mut [i32],
    ) {
        // Both conditions are known at compile time: tiles larger than those of the instruction set
        // are never compiled.
        if R > S::TILE_ROWS || B > S::TILE_BLOCKS {
            return;
        }
        let s = self.s;
        let sums = lanes(&self.sums[column..column + B * LANES]);
        let undo = s.splat_i(-self.bias);
        let start: [S::I; B] = core::array::from_fn(|b| s.mul_i(s.load_i(&sums[b]), undo));
        let mut acc = [start; R];
        // The first condition is known at compile time: it is false where a tile covers the whole
        // depth.
        if S::TILE_DEPTH < usize::MAX && part.start > 0 {
            for (r, acc) in acc.iter_mut().enumerate() {
                let start = (row + r) * self.columns + column;
                for (acc, before) in acc.iter_mut().zip(lanes(&out[start..start + B * LANES])) {
                    *acc = s.load_i(before);
                }
            }
        }
        let (depth, groups) = (self.depth, part.len() / 4);
        let a = &self.a[row * depth..(row + R) * depth];
        let weights = &self.weights[column * depth..(column + B * LANES) * depth];
        let ahead = self.ahead.take(groups);
        // SAFETY: as sliced above, `a` holds R rows of `depth` bytes and `weights` holds B blocks
        // of 16 * depth bytes. `part` lies within the depth of each.
        unsafe {
            let (a, w) = (a.as_ptr().add(part.start), weights.as_ptr().add(part.start * LANES));
            s.tile_fetching(a, depth, w, depth * LANES, groups, &mut acc, ahead);
        }
        for (r, acc) in acc.iter().enumerate() {
            let start = (row + r) * self.columns + column;
            for (to, value) in lanes_mut(&mut out[start..start + B * LANES]).iter_mut().zip(acc) {
                s.store_i(*value, to);
            }
        }
    }
}
