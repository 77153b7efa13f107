//! Writes the model file that `electra_core::model` reads in place.

use std::fmt;

use electra_core::model::format::{self, ENTRY_LEN, HEADER_LEN, SectionKind, field};
use electra_core::model::{FileChecksum, ModelError};
use electra_core::{Config, ConfigError, HeadKind, Model};

use crate::checkpoint::{Checkpoint, Head, Tensor};
use crate::notes::AlignedBytes;
use crate::quantize::{QuantizationError, Quantized};
use crate::vocabulary::{self, VocabularyBuildError};

/// A packed model and a report on its tensors and sections.
#[derive(Debug)]
pub struct Packed {
    /// The model file.
    pub bytes: Vec<u8>,
    /// Sizes of the model.
    pub config: Config,
    /// Reports on the tensors, in file order.
    pub tensors: Vec<TensorReport>,
    /// Size of each section in bytes, including padding.
    pub sections: Vec<(SectionKind, usize)>,
}

/// Report on one packed tensor.
#[derive(Debug)]
pub struct TensorReport {
    /// Hugging Face name of the tensor.
    pub name: String,
    /// Shape of the tensor in the checkpoint.
    pub shape: Vec<usize>,
    /// Size in the model file in bytes: int8 with scales and weight sums, or f32.
    pub bytes: usize,
    /// Quantization error, if the tensor is stored in int8.
    pub error: Option<QuantizationError>,
}

/// Packs a checkpoint. `metadata` contains `(key, value)` pairs about the model.
///
/// # Errors
/// Fails if the runtime does not support a size, a tensor is missing, the vocabulary cannot be
/// stored, or a metadata entry is not valid.
pub fn pack<T: AsRef<str>>(checkpoint: &Checkpoint, metadata: &[(T, T)]) -> Result<Packed, PackError> {
    let config = runtime_config(checkpoint);
    config.validate().map_err(PackError::Config)?;
    let mut writer = Writer { checkpoint, config: &config, tensors: Vec::new() };
    let sections = [
        config.encode().to_vec(),
        labels(checkpoint),
        metadata_lines(metadata)?.into_bytes(),
        vocabulary::build_section(&checkpoint.vocabulary).map_err(PackError::Vocabulary)?,
        writer.embeddings()?,
        writer.encoder()?,
        writer.head()?,
    ];
    let tensors = writer.tensors;
    let bytes = assemble(&sections);
    let sections = SectionKind::ALL.into_iter().zip(sections.map(|section| padded(section.len()))).collect();
    Ok(Packed { bytes, config, tensors, sections })
}

fn runtime_config(checkpoint: &Checkpoint) -> Config {
    let from = &checkpoint.config;
    let (head, num_labels) = match &from.head {
        Head::Classification { labels } => (HeadKind::Classification, labels.len()),
        Head::ReplacedTokenDetection => (HeadKind::ReplacedTokenDetection, 1),
    };
    Config {
        head,
        vocab_size: from.vocab_size,
        embedding_size: from.embedding_size,
        hidden_size: from.hidden_size,
        num_hidden_layers: from.num_hidden_layers,
        num_attention_heads: from.num_attention_heads,
        intermediate_size: from.intermediate_size,
        max_position_embeddings: from.max_position_embeddings,
        type_vocab_size: from.type_vocab_size,
        num_labels,
        layer_norm_eps: from.layer_norm_eps,
    }
}

fn labels(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut section = Vec::new();
    if let Head::Classification { labels } = &checkpoint.config.head {
        for label in labels {
            section.extend((label.len() as u32).to_le_bytes());
            section.extend(label.as_bytes());
        }
    }
    section
}

/// Returns the file with other metadata. All other sections stay the same.
///
/// # Errors
/// Fails if an entry cannot be stored.
pub(crate) fn with_metadata<T: AsRef<str>>(
    model: &Model<'_>,
    metadata: &[(T, T)],
) -> Result<Vec<u8>, PackError> {
    let lines = metadata_lines(metadata)?;
    let mut sections: [Vec<u8>; SectionKind::ALL.len()] = Default::default();
    for (section, from) in sections.iter_mut().zip(model.sections()) {
        *section = match from.kind {
            SectionKind::Metadata => lines.clone().into_bytes(),
            _ => from.bytes.to_vec(),
        };
    }
    Ok(assemble(&sections))
}

fn metadata_lines<T: AsRef<str>>(metadata: &[(T, T)]) -> Result<String, PackError> {
    let mut lines = String::new();
    for (key, value) in metadata {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key.is_empty() || key.contains(['=', '\n']) || value.contains('\n') {
            return Err(PackError::Metadata(format!("{key}={value}")));
        }
        lines.extend([key, "=", value, "\n"]);
    }
    Ok(lines)
}

struct Writer<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    tensors: Vec<TensorReport>,
}

impl Writer<'_> {
    fn embeddings(&mut self) -> Result<Vec<u8>, PackError> {
        let mut section = Vec::new();
        for table in ["word_embeddings", "position_embeddings"] {
            self.rows(&mut section, &format!("electra.embeddings.{table}.weight"))?;
        }
        self.floats(&mut section, "electra.embeddings.token_type_embeddings.weight")?;
        self.layer_norm(&mut section, "electra.embeddings.LayerNorm")?;
        if self.config.has_projection() {
            self.linear(&mut section, "electra.embeddings_project")?;
        }
        Ok(section)
    }

    fn encoder(&mut self) -> Result<Vec<u8>, PackError> {
        let mut section = Vec::new();
        for layer in 0..self.config.num_hidden_layers {
            let layer = format!("electra.encoder.layer.{layer}");
            for projection in ["self.query", "self.key", "self.value", "output.dense"] {
                self.linear(&mut section, &format!("{layer}.attention.{projection}"))?;
            }
            self.layer_norm(&mut section, &format!("{layer}.attention.output.LayerNorm"))?;
            self.linear(&mut section, &format!("{layer}.intermediate.dense"))?;
            self.linear(&mut section, &format!("{layer}.output.dense"))?;
            self.layer_norm(&mut section, &format!("{layer}.output.LayerNorm"))?;
        }
        Ok(section)
    }

    fn head(&mut self) -> Result<Vec<u8>, PackError> {
        let names = match self.config.head {
            HeadKind::Classification => ["classifier.dense", "classifier.out_proj"],
            HeadKind::ReplacedTokenDetection => {
                ["discriminator_predictions.dense", "discriminator_predictions.dense_prediction"]
            }
        };
        let mut section = Vec::new();
        for name in names {
            self.linear(&mut section, name)?;
        }
        Ok(section)
    }

    /// Writes an embedding table: int8 rows, then one scale per row.
    fn rows(&mut self, section: &mut Vec<u8>, name: &str) -> Result<(), PackError> {
        let start = section.len();
        let tensor = self.tensor(name)?;
        let quantized = Quantized::rows(tensor);
        put(section, quantized.values.iter().map(|value| value.to_le_bytes()));
        put(section, quantized.scales.iter().map(|value| value.to_le_bytes()));
        let error = quantized.error(tensor);
        self.report(name, section.len() - start, Some(error))
    }

    /// Writes a linear layer: packed weights, then scales, weight sums and biases, all padded to a
    /// multiple of sixteen outputs.
    fn linear(&mut self, section: &mut Vec<u8>, name: &str) -> Result<(), PackError> {
        let start = section.len();
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let tensor = self.tensor(&weight)?;
        let quantized = Quantized::rows(tensor);
        let (packed, sums) = quantized.pack();
        let padding = std::iter::repeat_n(0f32, sums.len() - quantized.scales.len());
        put(section, packed.iter().map(|value| value.to_le_bytes()));
        put(section, quantized.scales.iter().copied().chain(padding.clone()).map(f32::to_le_bytes));
        put(section, sums.iter().map(|value| value.to_le_bytes()));
        let error = quantized.error(tensor);
        self.report(&weight, section.len() - start, Some(error))?;
        let start = section.len();
        let biases = self.tensor(&bias)?.data.iter().copied().chain(padding);
        put(section, biases.map(f32::to_le_bytes));
        self.report(&bias, section.len() - start, None)
    }

    fn layer_norm(&mut self, section: &mut Vec<u8>, name: &str) -> Result<(), PackError> {
        self.floats(section, &format!("{name}.weight"))?;
        self.floats(section, &format!("{name}.bias"))
    }

    fn floats(&mut self, section: &mut Vec<u8>, name: &str) -> Result<(), PackError> {
        let start = section.len();
        put(section, self.tensor(name)?.data.iter().map(|value| value.to_le_bytes()));
        self.report(name, section.len() - start, None)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, PackError> {
        self.checkpoint.tensors.get(name).ok_or_else(|| PackError::MissingTensor(name.to_owned()))
    }

    fn report(
        &mut self,
        name: &str,
        bytes: usize,
        error: Option<QuantizationError>,
    ) -> Result<(), PackError> {
        let shape = self.tensor(name)?.shape.clone();
        self.tensors.push(TensorReport { name: name.to_owned(), shape, bytes, error });
        Ok(())
    }
}

/// Appends the values and pads the section with zeros to the alignment of the format.
fn put<const N: usize>(section: &mut Vec<u8>, values: impl Iterator<Item = [u8; N]>) {
    section.extend(values.flatten());
    section.resize(padded(section.len()), 0);
}

/// Returns the sections of a packed file and their sizes, including padding.
pub(crate) fn section_sizes(file: &[u8]) -> Result<Vec<(SectionKind, usize)>, PackError> {
    let bytes = AlignedBytes::of(file);
    let model = Model::open(bytes.as_slice()).map_err(PackError::Unreadable)?;
    Ok(model.sections().iter().map(|section| (section.kind, padded(section.bytes.len()))).collect())
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(format::ALIGNMENT)
}

/// Assembles the file: header, section table, sections and checksums.
fn assemble(sections: &[Vec<u8>; SectionKind::ALL.len()]) -> Vec<u8> {
    let first = format::FIRST_SECTION;
    let len = first + sections.iter().map(|section| padded(section.len())).sum::<usize>();
    let mut file = vec![0; first];
    let mut set = |at: usize, value: &[u8]| file[at..at + value.len()].copy_from_slice(value);
    set(0, &format::MAGIC);
    set(field::BYTE_ORDER, &format::BYTE_ORDER.to_le_bytes());
    set(field::VERSION, &format::VERSION.to_le_bytes());
    set(field::FILE_LEN, &(len as u64).to_le_bytes());
    set(field::SECTIONS, &(sections.len() as u32).to_le_bytes());
    set(field::WEIGHT_LAYOUT, &format::WEIGHT_LAYOUT_16X4.to_le_bytes());
    let mut body = Vec::with_capacity(len - first);
    for (index, (kind, section)) in SectionKind::ALL.iter().zip(sections).enumerate() {
        let (entry, start) = (HEADER_LEN + index * ENTRY_LEN, body.len());
        body.extend(section);
        body.resize(padded(body.len()), 0);
        set(entry, &(*kind as u32).to_le_bytes());
        set(entry + 8, &((first + start) as u64).to_le_bytes());
        set(entry + 16, &(section.len() as u64).to_le_bytes());
        set(entry + 24, &electra_core::model::crc32(&body[start..]).to_le_bytes());
    }
    let mut checksum = FileChecksum::new(&file);
    checksum.section(&body);
    file[field::FILE_CRC..field::FILE_CRC + 4].copy_from_slice(&checksum.finish().to_le_bytes());
    file.extend(body);
    file
}

/// Turns an intact model file of version 1 into one of the present version, in place. The versions
/// have the same bytes; only the arithmetic that runs them differs. Other bytes stay as they are.
pub(crate) fn convert(file: &mut [u8]) {
    let Some((first, body)) = file.split_at_mut_checked(format::FIRST_SECTION) else { return };
    let checksum = |first: &[u8]| {
        let mut checksum = FileChecksum::new(first);
        checksum.update(body);
        checksum.finish().to_le_bytes()
    };
    let (version, crc) = (field::VERSION..field::VERSION + 4, field::FILE_CRC..field::FILE_CRC + 4);
    let is_old = first.starts_with(&format::MAGIC) && first[version.clone()] == 1u32.to_le_bytes();
    if is_old && first[crc.clone()] == checksum(first) {
        first[version].copy_from_slice(&format::VERSION.to_le_bytes());
        let checksum = checksum(first);
        first[crc].copy_from_slice(&checksum);
    }
}

/// Reason why a checkpoint cannot be packed.
#[derive(Debug)]
#[non_exhaustive]
pub enum PackError {
    /// The runtime does not support a size.
    Config(ConfigError),
    /// The checkpoint lacks the tensor with this name.
    MissingTensor(String),
    /// The vocabulary cannot be stored.
    Vocabulary(VocabularyBuildError),
    /// A metadata entry has an empty key, a line break, or `=` in its key.
    Metadata(String),
    /// A threshold belongs to a label that the model lacks.
    ThresholdLabel {
        /// The label.
        label: String,
        /// The labels of the model.
        labels: Vec<String>,
    },
    /// A threshold is not a number from 0 to 1 with at most six decimals.
    Threshold {
        /// The label.
        label: String,
        /// The threshold.
        found: String,
    },
    /// A golden sentence cannot be stored; the text says why.
    Golden(String),
    /// The packed file cannot be opened, which is a defect of the packer.
    Unreadable(ModelError),
}

impl Packed {
    /// Returns the number of weights of the model, without the padding of the file.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "{error}"),
            Self::MissingTensor(name) => write!(f, "tensor {name} is missing"),
            Self::Vocabulary(error) => write!(f, "vocabulary: {error}"),
            Self::Metadata(entry) => {
                write!(f, "metadata {entry:?}: expected key=value on one line, no '=' in the key")
            }
            Self::ThresholdLabel { label, labels } => {
                write!(
                    f,
                    "threshold: the model has no label {label:?}, expected one of {}",
                    labels.join(", ")
                )
            }
            Self::Threshold { label, found } => {
                write!(f, "threshold of {label}: {found:?} found, expected 0 to 1 with at most 6 decimals")
            }
            Self::Golden(problem) => write!(f, "golden sentence: {problem}"),
            Self::Unreadable(error) => write!(f, "cannot open the packed file: {error}"),
        }
    }
}

impl std::error::Error for PackError {}
