//! One fully connected layer in int8: a GEMM in panels of columns. Scale, bias and activation
//! follow each panel while its sums are still in the first-level cache.

use core::ops::Range;

use super::ROW_BLOCK;
use crate::arena::Space;
use crate::kernels::{Activation, KernelSet, Operand};
use crate::math::all_finite;
use crate::model::Linear;
use crate::team::{FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

/// Output columns that are computed before they are scaled.
pub(crate) const PANEL: usize = 64;

/// A block of quantized rows, with one scale per row.
#[derive(Default)]
pub(crate) struct QuantizedRows<'a> {
    values: &'a mut [u8],
    scales: &'a mut [f32],
    columns: usize,
}

impl<'a> QuantizedRows<'a> {
    pub(crate) fn take<S: Space<'a>>(
        space: &mut S,
        names: [&'static str; 2],
        rows: usize,
        columns: usize,
    ) -> Self {
        Self { values: space.take(names[0], rows, columns), scales: space.take(names[1], rows, 1), columns }
    }

    /// Quantizes the rows of `x` into the rows that begin at `first`.
    pub(crate) fn quantize(&mut self, kernels: &dyn KernelSet, x: &[f32], first: usize) {
        let (columns, rows) = (self.columns, x.len() / self.columns);
        let values = &mut self.values[first * columns..(first + rows) * columns];
        kernels.quantize_rows(x, columns, values, &mut self.scales[first..first + rows]);
    }

    /// Quantizes rows of `x` that no step reads as floats. A row with a number that is not finite
    /// gets NaN as its scale, so no result of that row is finite. The integers alone would hide a
    /// NaN.
    pub(crate) fn quantize_checked(&mut self, kernels: &dyn KernelSet, x: &[f32], first: usize) {
        self.quantize(kernels, x, first);
        for (x, scale) in x.chunks_exact(self.columns).zip(&mut self.scales[first..]) {
            if !all_finite(x) {
                *scale = f32::NAN;
            }
        }
    }

    /// Quantizes all rows of `x`. Each worker takes a share of them.
    pub(crate) fn quantize_shared<T: Team>(&mut self, team: &T, kernels: &dyn KernelSet, x: &[f32]) {
        let (columns, rows) = (self.columns, x.len() / self.columns);
        let values = Items { elements: &mut self.values[..rows * columns], width: columns };
        let scales = Items { elements: &mut self.scales[..rows], width: 1 };
        let buffers = (values, scales);
        share_among(
            team,
            (rows, FEWEST_ROWS),
            buffers,
            &mut [(); MAX_WORKERS],
            |rows, (values, scales), ()| {
                let x = &x[rows.start * columns..rows.end * columns];
                kernels.quantize_rows(x, columns, values.elements, scales.elements);
            },
        );
    }

    pub(crate) fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Makes row `to` equal to row `from`.
    pub(crate) fn copy_row(&mut self, from: usize, to: usize) {
        self.values.copy_within(from * self.columns..(from + 1) * self.columns, to * self.columns);
        self.scales[to] = self.scales[from];
    }

    pub(crate) fn values(&self, rows: Range<usize>) -> &[u8] {
        &self.values[rows.start * self.columns..rows.end * self.columns]
    }

    pub(crate) fn scales(&self, rows: Range<usize>) -> &[f32] {
        &self.scales[rows]
    }
}

impl Linear<'_> {
    /// Returns the weights of the panel of columns that begins at `column`; the slice is empty
    /// beyond the last column.
    pub(crate) fn panel(&self, column: usize) -> &[i8] {
        let end = (column + PANEL).min(self.bias.len());
        &self.weights[column.min(end) * self.inputs..end * self.inputs]
    }
}

/// Takes the i32 sums of one panel from `space`: [`ROW_BLOCK`] x [`PANEL`].
pub(crate) fn take_panel<'a, S: Space<'a>>(space: &mut S) -> &'a mut [i32] {
    space.take("sums of a panel", ROW_BLOCK, PANEL)
}

/// Destination of a linear layer's result.
pub(crate) struct Output<'a> {
    /// Rows, `stride` elements apart.
    pub rows: &'a mut [f32],
    pub stride: usize,
    pub activation: Activation,
}

/// Operands of a linear layer.
pub(crate) struct Operands<'a> {
    pub linear: &'a Linear<'a>,
    pub input: &'a QuantizedRows<'a>,
    /// Rows of `input`, at most [`ROW_BLOCK`].
    pub rows: Range<usize>,
    /// Output columns of `linear`. The first of them lands in column 0 of the output.
    pub columns: Range<usize>,
    /// Weights that are read next. They are fetched during the GEMM.
    pub next: &'a [i8],
}

/// Applies a linear layer, with `panel` for the sums of [`PANEL`] columns.
pub(crate) fn apply(
    kernels: &dyn KernelSet,
    operands: &Operands<'_>,
    panel: &mut [i32],
    output: &mut Output<'_>,
) {
    let Operands { linear, input, rows, columns, next } = operands;
    for start in columns.clone().step_by(PANEL) {
        let end = columns.end.min(start + PANEL);
        let sums = &mut panel[..rows.len() * (end - start)];
        let weights = &linear.weights[start * linear.inputs..end * linear.inputs];
        let values = input.values(rows.clone());
        let next_end = columns.end.min(end + PANEL);
        let next = if end == columns.end {
            *next
        } else {
            &linear.weights[end * linear.inputs..next_end * linear.inputs]
        };
        kernels.gemm(Operand::Signed, values, linear.inputs, weights, &linear.sums[start..end], sums, next);
        kernels.dequantize(
            sums,
            input.scales(rows.clone()),
            &linear.scales[start..end],
            &linear.bias[start..end],
            output.activation,
            output.rows,
            output.stride,
            start - columns.start,
        );
    }
}

/// Computes the GEMM of all columns of `linear` with the first `rows` rows of `input` and discards
/// its sums.
#[cfg(feature = "internals")]
pub(crate) fn multiply(
    kernels: &dyn KernelSet,
    linear: &Linear<'_>,
    input: &QuantizedRows<'_>,
    rows: usize,
    panel: &mut [i32],
    next: &[i8],
) {
    for start in (0..linear.bias.len()).step_by(PANEL) {
        let end = linear.bias.len().min(start + PANEL);
        let next = if end == linear.bias.len() { next } else { linear.panel(end) };
        let (sums, out) = (&linear.sums[start..end], &mut panel[..rows * (end - start)]);
        let (weights, values) = (linear.panel(start), input.values(0..rows));
        kernels.gemm(Operand::Signed, values, linear.inputs, weights, sums, out, next);
    }
}
