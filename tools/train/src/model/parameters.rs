//! All parameters of a run in one flat f32 buffer, so that a step of the optimizer is a few
//! operations, however many parameters there are.
//!
//! The speed of a model this small is limited by the number of kernels that are launched. Therefore
//! parameters are views into the buffer, parameters with the same learning rate and decay are
//! adjacent, and the query, key and value matrices of a layer are one parameter.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::device::Precision;
use crate::error::{Error, Result};
use crate::model::folder::Tensors;
use crate::random::{Purpose, Stream, seed_torch};

/// Every parameter begins at a multiple of this number of elements: matrix products on GPUs need 16
/// bytes, vector units 64. The gaps are zero, have a gradient of zero and stay zero.
const ALIGNMENT: i64 = 64;

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Normal distribution with this standard deviation, cut off at two standard deviations, as in
    /// the papers' code.
    Normal(f64),
    /// All zeros, for biases.
    Zeros,
    /// All ones, for LayerNorm's scale.
    Ones,
}

/// Description of a parameter, without memory.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Hugging Face names of the tensors that it stacks along the first dimension: one, except for
    /// query, key and value.
    pub names: Vec<String>,
    /// Shape of the stack.
    pub shape: Vec<i64>,
    /// Initial values.
    pub initial: Initial,
    /// Distance from the input, for layer-wise learning rates: 0 for embeddings, then one per
    /// layer, then the head.
    pub depth: i64,
}

/// Parameters that share a learning rate and a decay.
#[derive(Clone, Debug)]
pub struct Group {
    /// Range of elements in the flat buffer.
    pub elements: Range<i64>,
    /// Depth of the parameters, see [`Parameter::depth`].
    pub depth: i64,
    /// Whether weight decay applies. It does not apply to biases and LayerNorm.
    pub decays: bool,
}

/// All parameters of a run, see the module.
#[derive(Debug)]
pub struct Parameters {
    layout: Vec<Placed>,
    by_name: HashMap<String, usize>,
    groups: Vec<Group>,
    /// `[elements]`, f32: the values that the optimizer updates.
    flat: Tensor,
    /// `[elements - low_start]`: copy in the number format of forward and backward passes, if that
    /// is not f32.
    low: Option<Tensor>,
    low_start: i64,
    /// Tensors that the model uses and whose gradients are computed, in the order of `layout`.
    leaves: Vec<Tensor>,
    /// Number of frozen tensors, which are the first ones of `leaves`.
    frozen: usize,
}

#[derive(Debug)]
struct Placed {
    parameter: Parameter,
    elements: Range<i64>,
}

impl Parameters {
    /// Allocates `parameters` and sets their initial values, which depend on `seed` and the names
    /// only.
    pub fn new(
        mut parameters: Vec<Parameter>,
        device: Device,
        precision: Precision,
        seed: u64,
    ) -> Result<Self> {
        // Tables stay f32: their gradients are sums over whole batches, and bf16 would lose the
        // small terms of these sums.
        parameters.sort_by_key(|it| (!it.stays_f32(), it.depth, it.decays()));
        let mut layout = Vec::new();
        let mut by_name = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let (mut end, mut low_start) = (0, None);
        for parameter in parameters {
            let start = end;
            let stop = start + parameter.shape.iter().product::<i64>();
            end = aligned(stop);
            if !parameter.stays_f32() {
                low_start.get_or_insert(start);
            }
            match groups.last_mut() {
                Some(group) if (group.depth, group.decays) == (parameter.depth, parameter.decays()) => {
                    group.elements.end = end;
                }
                _ => groups.push(Group {
                    elements: start..end,
                    depth: parameter.depth,
                    decays: parameter.decays(),
                }),
            }
            for name in &parameter.names {
                by_name.insert(name.clone(), layout.len());
            }
            layout.push(Placed { parameter, elements: start..stop });
        }
        let low_start = low_start.unwrap_or(end);
        let flat = Tensor::f_zeros([end], (Kind::Float, device))?;
        let low = match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(Tensor::f_zeros([end - low_start], (precision.kind(), device))?),
        };
        let mut result =
            Self { layout, by_name, groups, flat, low, low_start, leaves: Vec::new(), frozen: 0 };
        result.leaves = result.layout.iter().map(|it| result.leaf(it)).collect::<Result<_>>()?;
        result.initialize(seed)?;
        Ok(result)
    }

    /// Returns the parameter that holds the tensor `name`. Panics if there is none, which is an
    /// error in the program.
    pub fn get(&self, name: &str) -> Tensor {
        match self.by_name.get(name) {
            Some(&index) => self.leaves[index].shallow_clone(),
            None => unreachable!("no parameter {name}"),
        }
    }

    /// Returns the length of the flat buffer.
    pub fn elements(&self) -> i64 {
        self.flat.numel() as i64
    }

    /// Returns the number of weights, without the gaps between parameters.
    pub fn count(&self) -> i64 {
        self.layout.iter().map(|placed| placed.elements.end - placed.elements.start).sum()
    }

    /// Excludes the embeddings and the lowest `layers` layers from the training, unless `layers` is
    /// 0. Their gradients and their graph are not computed. Must be called before a model is made
    /// of the parameters.
    pub fn freeze(&mut self, layers: i64) {
        // The buffer is ordered by depth, except that f32 tables, which are embeddings, come first.
        let below = |placed: &Placed| layers > 0 && placed.parameter.depth <= layers;
        self.frozen = self.layout.iter().take_while(|placed| below(placed)).count();
        debug_assert!(!self.layout[self.frozen..].iter().any(below));
        for leaf in &mut self.leaves[..self.frozen] {
            *leaf = leaf.detach();
        }
    }

    /// Returns the elements of the flat buffer that are trained: all from the first one that is not
    /// frozen.
    pub fn trained(&self) -> Range<i64> {
        let start = match self.layout.get(self.frozen) {
            Some(placed) => placed.elements.start,
            None => self.elements(),
        };
        start..self.elements()
    }

    /// Returns the flat f32 buffer, `[elements]`.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Returns the ranges of the flat buffer that share a learning rate and a decay.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Computes the gradients of `loss` for the elements that are [`Self::trained`], as a flat f32
    /// tensor. They are zero for parameters that the loss does not depend on.
    pub fn gradients(&self, loss: &Tensor) -> Result<Tensor> {
        let leaves = &self.leaves[self.frozen..];
        let gradients = Tensor::f_run_backward(&[loss], leaves, false, false)?;
        let zeros = Tensor::f_zeros([ALIGNMENT], (Kind::Float, self.flat.device()))?;
        // The gradients in f32 come first, see `new`. A GPU joins tensors of one kind in a few
        // kernels; for tensors of several kinds it needs a kernel per tensor.
        let (mut high, mut low) = (Vec::new(), Vec::new());
        for ((gradient, leaf), placed) in gradients.into_iter().zip(leaves).zip(&self.layout[self.frozen..]) {
            let gradient = if gradient.defined() { gradient } else { leaf.f_zeros_like()? };
            let of_kind = if leaf.kind() == Kind::Float { &mut high } else { &mut low };
            let stop = placed.elements.end;
            of_kind.push(gradient.f_reshape([-1])?);
            let gap = aligned(stop) - stop;
            if gap > 0 {
                of_kind.push(zeros.f_narrow(0, 0, gap)?.f_to_kind(leaf.kind())?);
            }
        }
        if !low.is_empty() {
            high.push(Tensor::f_cat(&low, 0)?.f_to_kind(Kind::Float)?);
        }
        Ok(Tensor::f_cat(&high, 0)?)
    }

    /// Updates the copy that forward and backward passes use, after a change of the flat buffer.
    pub fn refresh(&self) -> Result<()> {
        if let Some(low) = &self.low {
            let (start, length) = (self.low_start, self.elements() - self.low_start);
            low.shallow_clone().f_copy_(&self.flat.f_narrow(0, start, length)?)?;
        }
        Ok(())
    }

    /// Overwrites parameters with the tensors of a checkpoint. `name_in_file` returns the name of a
    /// tensor in the file. Returns the names of the parameters that have no tensor there; they do
    /// not change. Fails if a shape differs. `file` is for messages.
    pub fn load(
        &self,
        tensors: &Tensors,
        file: &Path,
        name_in_file: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for placed in &self.layout {
            for (name, view) in self.tensors_of(placed)? {
                let found = name_in_file(&name).and_then(|found| Some((tensors.get(&found)?, found)));
                let Some((tensor, found)) = found else {
                    missing.push(name);
                    continue;
                };
                if tensor.size() != view.size() {
                    let (found_shape, expected) =
                        (format!("{:?}", tensor.size()), format!("{:?}", view.size()));
                    return Err(Error::field(file, found, found_shape, expected));
                }
                view.shallow_clone().f_copy_(tensor)?;
            }
        }
        self.refresh()?;
        Ok(missing)
    }

    /// Returns copies of all tensors by name, on the CPU and in f32.
    pub fn tensors(&self) -> Result<Tensors> {
        let mut result = Tensors::new();
        for placed in &self.layout {
            for (name, view) in self.tensors_of(placed)? {
                let copy = view.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
                result.insert(name, copy.f_clone(&copy.f_empty_like()?)?);
            }
        }
        Ok(result)
    }

    fn leaf(&self, placed: &Placed) -> Result<Tensor> {
        let Range { start, end } = placed.elements;
        let memory = match &self.low {
            Some(low) if start >= self.low_start => low.f_narrow(0, start - self.low_start, end - start)?,
            _ => self.flat.f_narrow(0, start, end - start)?,
        };
        Ok(memory.f_view(&placed.parameter.shape[..])?.f_detach()?.f_set_requires_grad(true)?)
    }

    /// Returns the f32 views of the tensors that a parameter stacks.
    fn tensors_of(&self, placed: &Placed) -> Result<Vec<(String, Tensor)>> {
        let Range { start, end } = placed.elements;
        let parameter = &placed.parameter;
        let whole = self.flat.f_narrow(0, start, end - start)?.f_view(&parameter.shape[..])?;
        let rows = parameter.shape[0] / parameter.names.len() as i64;
        let mut views = Vec::new();
        for (name, first) in parameter.names.iter().zip((0..).step_by(rows.max(1) as usize)) {
            views.push((name.clone(), whole.f_narrow(0, first, rows)?));
        }
        Ok(views)
    }

    fn initialize(&self, seed: u64) -> Result<()> {
        for placed in &self.layout {
            for (name, view) in self.tensors_of(placed)? {
                let mut view = view;
                match placed.parameter.initial {
                    Initial::Zeros => _ = view.f_zero_()?,
                    Initial::Ones => _ = view.f_fill_(1.0)?,
                    Initial::Normal(deviation) => {
                        // The seed depends on the name, so adding a head does not change the
                        // encoder.
                        let index = name.bytes().fold(0_u64, |hash, byte| {
                            hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte))
                        });
                        seed_torch(Stream::new(seed, Purpose::Weights, index).next_u64(), 0);
                        view.f_copy_(&truncated_normal(&view.size(), deviation)?)?;
                    }
                }
            }
        }
        self.refresh()
    }
}

impl Parameter {
    /// Returns a parameter of one tensor. Its depth is set later.
    pub fn new(name: impl Into<String>, shape: &[i64], initial: Initial) -> Self {
        Self { names: vec![name.into()], shape: shape.to_vec(), initial, depth: 0 }
    }

    fn decays(&self) -> bool {
        matches!(self.initial, Initial::Normal(_))
    }

    fn stays_f32(&self) -> bool {
        let name = &self.names[0];
        name.contains("embeddings.") || name.contains("relative_attention_bias.")
    }
}

fn aligned(element: i64) -> i64 {
    (element + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// Draws from the normal distribution between -2 and 2 standard deviations, by its inverse. The
/// numbers are drawn on the CPU, so they are the same on every device.
fn truncated_normal(shape: &[i64], deviation: f64) -> Result<Tensor> {
    /// Probability of a value below -2 standard deviations.
    const TAIL: f64 = 0.022_750_131_948_179_2;
    let uniform = Tensor::f_rand(shape, (Kind::Double, Device::Cpu))?;
    let probability = uniform.f_mul_scalar(1.0 - 2.0 * TAIL)?.f_add_scalar(TAIL)?;
    // Inverse of the distribution function: sqrt(2) erfinv(2 p - 1).
    let normal = probability.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?.f_erfinv()?;
    Ok(normal.f_mul_scalar(deviation * std::f64::consts::SQRT_2)?.f_to_kind(Kind::Float)?)
}
