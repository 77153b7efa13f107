//! Dense arrays of numbers and their index arithmetic.

/// A dense array in row-major order. An array without dimensions is a single number.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::onnx) struct Value {
    pub(in crate::onnx) shape: Vec<usize>,
    pub(in crate::onnx) data: Data,
}

/// Elements of an array. Booleans are the integers 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::onnx) enum Data {
    Float(Vec<f32>),
    Integer(Vec<i64>),
}

impl Value {
    pub(in crate::onnx) fn len(&self) -> usize {
        match &self.data {
            Data::Float(values) => values.len(),
            Data::Integer(values) => values.len(),
        }
    }

    pub(in crate::onnx) fn floats(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Float(values) => Some(values),
            Data::Integer(_) => None,
        }
    }

    /// Returns the elements at `indices` in the shape `shape`. Returns `None` if an index is out of
    /// range or the number of indices does not match the shape.
    pub(super) fn pick(&self, shape: Vec<usize>, indices: impl Iterator<Item = usize>) -> Option<Self> {
        let data = match &self.data {
            Data::Float(values) => {
                Data::Float(indices.map(|index| values.get(index).copied()).collect::<Option<_>>()?)
            }
            Data::Integer(values) => {
                Data::Integer(indices.map(|index| values.get(index).copied()).collect::<Option<_>>()?)
            }
        };
        let value = Self { shape, data };
        (value.shape.iter().product::<usize>() == value.len()).then_some(value)
    }

    /// Returns the same elements in another shape, or `None` if the number of elements differs.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
        (count == self.len()).then(|| Self { shape, data: self.data.clone() })
    }
}

/// Returns the distance in elements between neighbours along each dimension.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Returns the shape to which values of all `shapes` are broadcast (ONNX, "Broadcasting"), or
/// `None` if the shapes are not compatible.
pub(super) fn broadcast_shape(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (to, &size) in result[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*to, size) {
                (_, 1) => {}
                (1, size) => *to = size,
                (to, size) if to == size => {}
                _ => return None,
            }
        }
    }
    Some(result)
}

/// Returns, for each element of shape `to`, the index of the element of shape `from` that is
/// repeated there.
pub(super) fn broadcast_indices(from: &[usize], to: &[usize]) -> Vec<usize> {
    let offset = to.len() - from.len();
    let own = strides(from);
    let steps: Vec<usize> = (0..to.len())
        .map(|axis| match axis.checked_sub(offset) {
            Some(axis) if from[axis] != 1 => own[axis],
            _ => 0,
        })
        .collect();
    walk(to, &steps)
}

/// Returns the sum of position times step over the dimensions, for each position in `shape` in
/// row-major order.
pub(super) fn walk(shape: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut indices = vec![0];
    for (&size, &step) in shape.iter().zip(steps) {
        indices =
            indices.iter().flat_map(|index| (0..size).map(move |position| index + position * step)).collect();
    }
    indices
}
