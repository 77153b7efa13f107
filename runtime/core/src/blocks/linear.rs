//! The product of a fully connected layer in int8. The kernels that scale its sums follow it.

use core::ops::Range;

use crate::arena::Space;
use crate::kernels::{KernelSet, Operand, PANEL, Scaling};
use crate::math::all_finite;
use crate::model::Linear;
use crate::team::{FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

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

    /// Quantizes the rows of `x` into the first rows.
    pub(crate) fn quantize(&mut self, kernels: &dyn KernelSet, x: &[f32]) {
        let (columns, rows) = (self.columns, x.len() / self.columns);
        kernels.quantize_rows(x, columns, &mut self.values[..rows * columns], &mut self.scales[..rows]);
    }

    /// Quantizes rows of `x` that no step reads as floats. A row with a number that is not finite
    /// gets NaN as its scale, so no result of that row is finite. The integers alone would hide a
    /// NaN.
    pub(crate) fn quantize_checked(&mut self, kernels: &dyn KernelSet, x: &[f32]) {
        self.quantize(kernels, x);
        self.check(x);
    }

    /// Gives NaN as their scale to rows of `x`, from which these rows were made, that have a number
    /// that is not finite.
    pub(crate) fn check(&mut self, x: &[f32]) {
        for (x, scale) in x.chunks_exact(self.columns).zip(&mut *self.scales) {
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

    /// Returns the values and scales of the first `rows` rows, to be written.
    pub(crate) fn first_mut(&mut self, rows: usize) -> (&mut [u8], &mut [f32]) {
        (&mut self.values[..rows * self.columns], &mut self.scales[..rows])
    }
}

impl<'m> Linear<'m> {
    /// Returns the weights of the panel of columns that begins at `column`; the slice is empty
    /// beyond the last column.
    pub(crate) fn panel(&self, column: usize) -> &'m [i8] {
        let end = (column + PANEL).min(self.bias.len());
        &self.weights[column.min(end) * self.inputs..end * self.inputs]
    }

    /// Returns the layer that has only the outputs `columns`.
    pub(crate) fn columns(&self, columns: Range<usize>) -> Self {
        let weights = &self.weights[columns.start * self.inputs..columns.end * self.inputs];
        let (scales, bias) = (&self.scales[columns.clone()], &self.bias[columns.clone()]);
        Self { inputs: self.inputs, weights, scales, sums: &self.sums[columns], bias }
    }

    /// Returns what turns the sums of rows with these scales into numbers.
    pub(crate) fn scaling<'a>(&'a self, rows: &'a [f32]) -> Scaling<'a> {
        Scaling { rows, columns: self.scales, bias: self.bias }
    }

    /// Multiplies quantized rows by the weights: `sums` are rows x outputs. `next` holds the
    /// weights that are read next; they are fetched meanwhile.
    #[inline(never)]
    pub(crate) fn multiply(&self, kernels: &dyn KernelSet, rows: &[u8], sums: &mut [i32], next: &[i8]) {
        kernels.gemm(Operand::Signed, rows, self.inputs, self.weights, self.sums, sums, next);
    }
}
