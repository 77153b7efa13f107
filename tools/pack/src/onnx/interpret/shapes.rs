//! Operators that move elements or compute shapes.

use super::value::{Data, Value, broadcast_indices, broadcast_shape, strides, walk};
use super::{Call, Problem};
use crate::onnx::graph::{Graph, attribute};
use crate::onnx::tensor::{Constant, Values, decode};

impl Call<'_> {
    pub(super) fn shape(&self) -> Result<Value, Problem> {
        let shape = &self.input(0)?.shape;
        let rank = shape.len() as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let (start, end) = (bound(self.number("start", 0)), bound(self.number("end", rank)));
        let sizes: Vec<i64> = shape.iter().take(end).skip(start).map(|&size| size as i64).collect();
        Ok(Value { shape: vec![sizes.len()], data: Data::Integer(sizes) })
    }

    pub(super) fn gather(&self) -> Result<Value, Problem> {
        let (value, indices) = (self.input(0)?, self.input(1)?);
        let axis = Self::axis(self.number("axis", 0), value.shape.len())?;
        let size = value.shape[axis];
        let picked = self
            .integers(1)?
            .iter()
            .map(|&index| Self::index(index, size))
            .collect::<Result<Vec<usize>, _>>()?;
        let (before, after) = (&value.shape[..axis], &value.shape[axis + 1..]);
        let shape = [before, &indices.shape, after].concat();
        self.checked_len(&shape)?;
        let (outer, inner): (usize, usize) = (before.iter().product(), after.iter().product());
        let picked = &picked;
        let elements = (0..outer).flat_map(move |outer| {
            picked.iter().flat_map(move |index| {
                let start = (outer * size + index) * inner;
                start..start + inner
            })
        });
        value.pick(shape, elements).ok_or_else(|| "an index out of range".to_owned())
    }

    /// Computes `GatherND` without batch dimensions.
    pub(super) fn gather_nd(&self) -> Result<Value, Problem> {
        let (value, indices) = (self.input(0)?, self.input(1)?);
        let [outer @ .., depth] = indices.shape.as_slice() else {
            return Err("indices without dimensions".to_owned());
        };
        if self.number("batch_dims", 0) != 0 || *depth > value.shape.len() || *depth == 0 {
            return Err(format!("indices of {depth} numbers"));
        }
        let steps = strides(&value.shape);
        let inner: usize = value.shape[*depth..].iter().product();
        let shape = [outer, &value.shape[*depth..]].concat();
        self.checked_len(&shape)?;
        let starts = self
            .integers(1)?
            .chunks_exact(*depth)
            .map(|index| {
                index.iter().zip(&value.shape).zip(&steps).try_fold(0, |start, ((&index, &size), step)| {
                    Ok(start + Self::index(index, size)? * step)
                })
            })
            .collect::<Result<Vec<usize>, Problem>>()?;
        let elements = starts.into_iter().flat_map(|start| start..start + inner);
        value.pick(shape, elements).ok_or_else(|| "an index out of range".to_owned())
    }

    /// Returns the position of `index` among `size` elements. A negative `index` is counted from
    /// the end.
    fn index(index: i64, size: usize) -> Result<usize, Problem> {
        let from_start = if index < 0 { index.checked_add(size as i64) } else { Some(index) };
        from_start
            .and_then(|index| usize::try_from(index).ok())
            .filter(|&index| index < size)
            .ok_or_else(|| format!("index {index} of {size}"))
    }

    pub(super) fn slice(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let rank = value.shape.len();
        let missing = || "no bounds".to_owned();
        let starts = self.listed("starts", 1)?.ok_or_else(missing)?;
        let ends = self.listed("ends", 2)?.ok_or_else(missing)?;
        let axes = self.listed("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.listed("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.iter().any(|step| *step != 1) {
            return Err("different numbers of bounds, or a step other than 1".to_owned());
        }
        let mut ranges: Vec<(usize, usize)> = value.shape.iter().map(|&size| (0, size)).collect();
        for ((start, end), axis) in starts.into_iter().zip(ends).zip(axes) {
            let axis = Self::axis(axis, rank)?;
            let size = value.shape[axis] as i64;
            let bound = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(0, size) as usize;
            ranges[axis] = (bound(start), bound(end).max(bound(start)));
        }
        let own = strides(&value.shape);
        let start: usize = ranges.iter().zip(&own).map(|((start, _), step)| start * step).sum();
        let shape: Vec<usize> = ranges.iter().map(|(start, end)| end - start).collect();
        let indices = walk(&shape, &own);
        value.pick(shape, indices.into_iter().map(|at| start + at)).ok_or_else(|| "no element".to_owned())
    }

    pub(super) fn concat(&self) -> Result<Value, Problem> {
        let values = (0..self.inputs.len()).map(|index| self.input(index)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = values.first() else { return Err("no inputs".to_owned()) };
        let axis = Self::axis(self.number("axis", 0), first.shape.len())?;
        let others = |value: &Value| {
            let mut shape = value.shape.clone();
            (axis < shape.len()).then(|| shape.remove(axis)).map(|_| shape)
        };
        if values.iter().any(|value| others(value) != others(first)) {
            let shapes: Vec<_> = values.iter().map(|value| &value.shape).collect();
            return Err(format!("values of shapes {shapes:?}"));
        }
        let mut shape = first.shape.clone();
        shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
        self.checked_len(&shape)?;
        let outer: usize = shape[..axis].iter().product();
        let blocks: Vec<usize> =
            values.iter().map(|value| value.shape[axis..].iter().product::<usize>()).collect();
        let order = (0..outer).flat_map(|outer| {
            values.iter().zip(&blocks).map(move |(value, block)| (*value, outer * block, *block))
        });
        let data = match &first.data {
            Data::Float(_) => {
                let mut all = Vec::new();
                for (value, start, block) in order {
                    all.extend_from_slice(
                        &value.floats().ok_or("values of different types")?[start..start + block],
                    );
                }
                Data::Float(all)
            }
            Data::Integer(_) => {
                let mut all = Vec::new();
                for (value, start, block) in order {
                    let Data::Integer(values) = &value.data else {
                        return Err("values of different types".to_owned());
                    };
                    all.extend_from_slice(&values[start..start + block]);
                }
                Data::Integer(all)
            }
        };
        Ok(Value { shape, data })
    }

    pub(super) fn unsqueeze(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let axes = self.listed("axes", 1)?.unwrap_or_default();
        let rank = value.shape.len() + axes.len();
        let mut axes = axes.into_iter().map(|axis| Self::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        let mut shape = value.shape.clone();
        for axis in axes {
            shape.insert(axis.min(shape.len()), 1);
        }
        value.reshaped(shape).ok_or_else(|| "another number of elements".to_owned())
    }

    pub(super) fn squeeze(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let axes = match self.listed("axes", 1)? {
            Some(axes) => axes
                .into_iter()
                .map(|axis| Self::axis(axis, value.shape.len()))
                .collect::<Result<Vec<_>, _>>()?,
            None => (0..value.shape.len()).filter(|&axis| value.shape[axis] == 1).collect(),
        };
        let kept = (0..value.shape.len()).filter(|axis| !axes.contains(axis));
        let shape = kept.map(|axis| value.shape[axis]).collect();
        value.reshaped(shape).ok_or_else(|| format!("a shape {:?} without the axes {axes:?}", value.shape))
    }

    pub(super) fn reshape(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let wanted = self.integers(1)?;
        let problem = || format!("a value of shape {:?} in the shape {wanted:?}", value.shape);
        let keeps_zero = self.number("allowzero", 0) != 0;
        let mut shape = Vec::new();
        for (axis, &size) in wanted.iter().enumerate() {
            shape.push(match size {
                0 if !keeps_zero => *value.shape.get(axis).ok_or_else(problem)?,
                -1 => 1,
                size => usize::try_from(size).map_err(|_| problem())?,
            });
        }
        if let Some(axis) = wanted.iter().position(|&size| size == -1) {
            let rest = shape.iter().try_fold(1usize, |rest, &size| rest.checked_mul(size));
            shape[axis] = rest.and_then(|rest| value.len().checked_div(rest)).ok_or_else(problem)?;
        }
        value.reshaped(shape).ok_or_else(problem)
    }

    pub(super) fn flatten(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let axis = self.number("axis", 1);
        let axis = if axis == value.shape.len() as i64 {
            value.shape.len()
        } else {
            Self::axis(axis, value.shape.len())?
        };
        let (rows, columns) = value.shape.split_at(axis);
        let shape = vec![rows.iter().product(), columns.iter().product()];
        value.reshaped(shape).ok_or_else(|| "another number of elements".to_owned())
    }

    pub(super) fn expand(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let wanted = self.sizes(1)?;
        let shape = broadcast_shape(&[&value.shape, &wanted])
            .ok_or_else(|| format!("a value of shape {:?} in the shape {wanted:?}", value.shape))?;
        self.checked_len(&shape)?;
        let indices = broadcast_indices(&value.shape, &shape);
        value.pick(shape, indices.into_iter()).ok_or_else(|| "no element".to_owned())
    }

    pub(super) fn transpose(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let rank = value.shape.len();
        let order = match attribute(self.node, "perm") {
            Some(perm) => {
                perm.ints.iter().map(|&axis| Self::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?
            }
            None => (0..rank).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(format!("the order {order:?} of {rank} dimensions"));
        }
        let own = strides(&value.shape);
        let shape: Vec<usize> = order.iter().map(|&axis| value.shape[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| own[axis]).collect();
        let indices = walk(&shape, &steps);
        value.pick(shape, indices.into_iter()).ok_or_else(|| "no element".to_owned())
    }

    /// Computes `Range` for integers with step 1.
    pub(super) fn range(&self) -> Result<Value, Problem> {
        let one = |index| match self.integers(index)? {
            [number] => Ok(*number),
            more => Err(format!("{} numbers as a bound", more.len())),
        };
        let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
        if step != 1 || limit < start {
            return Err(format!("numbers from {start} to {limit} in steps of {step}"));
        }
        let count = limit.checked_sub(start).and_then(|count| usize::try_from(count).ok());
        let count = self.checked_len(&[count.unwrap_or(usize::MAX)])?;
        Ok(Value { shape: vec![count], data: Data::Integer((start..limit).collect()) })
    }

    pub(super) fn constant_of_shape(&self, graph: &Graph<'_>) -> Result<Value, Problem> {
        let shape = self.sizes(0)?;
        let count = self.checked_len(&shape)?;
        let value = attribute(self.node, "value").and_then(|attribute| attribute.t.as_ref());
        let data = match value.map(|tensor| decode(graph.file, tensor)).transpose() {
            Ok(None) => Data::Float(vec![0.0; count]),
            Ok(Some(Constant { values: Values::Float(values), .. })) if values.len() == 1 => {
                Data::Float(vec![values[0]; count])
            }
            Ok(Some(Constant { values: Values::Integer(values), .. })) if values.len() == 1 => {
                Data::Integer(vec![values[0]; count])
            }
            Ok(Some(_)) => return Err("a value of several numbers".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        Ok(Value { shape, data })
    }

    fn sizes(&self, index: usize) -> Result<Vec<usize>, Problem> {
        let sizes = self.integers(index)?;
        let sizes = sizes.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>();
        sizes.map_err(|_| "a negative size".to_owned())
    }
}
