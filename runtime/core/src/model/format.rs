//! Constants of the model file and the sizes of its parts. `docs/model-format.md` shows them byte
//! by byte.

use crate::config::Config;
use crate::kernels::LANES;

/// First bytes of a model file.
pub const MAGIC: [u8; 8] = *b"ELECTRA\0";
/// Mark of the byte order. It has this value only where the file and the reader agree on the order.
pub const BYTE_ORDER: u32 = 0x0a0b_0c0d;
/// Version of the format and of the arithmetic that runs it. A reader accepts only its own version.
pub const VERSION: u32 = 2;
/// Weights in blocks of sixteen output columns by four inputs: `[columns/16][inputs/4][16][4]`.
pub const WEIGHT_LAYOUT_16X4: u32 = 1;
/// Bytes of the header, which the section table follows.
pub const HEADER_LEN: usize = 64;
/// Bytes of one entry of the section table.
pub const ENTRY_LEN: usize = 32;
/// Alignment in bytes of the sections and of the parts inside them.
pub const ALIGNMENT: usize = 64;

/// Offset in bytes of the first section: after the header and the section table, aligned.
pub const FIRST_SECTION: usize =
    (HEADER_LEN + SectionKind::ALL.len() * ENTRY_LEN).next_multiple_of(ALIGNMENT);

/// Offsets in bytes of the header's fields.
pub mod field {
    /// [`super::BYTE_ORDER`], u32.
    pub const BYTE_ORDER: usize = 8;
    /// [`super::VERSION`], u32.
    pub const VERSION: usize = 12;
    /// Bytes of the whole file, u64.
    pub const FILE_LEN: usize = 16;
    /// Number of sections, u32.
    pub const SECTIONS: usize = 24;
    /// [`super::WEIGHT_LAYOUT_16X4`], u32.
    pub const WEIGHT_LAYOUT: usize = 28;
    /// CRC-32 of the whole file, with these four bytes taken as zero, u32.
    pub const FILE_CRC: usize = 32;
}

/// Kinds of sections. Each kind occurs once in a file, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(clippy::exhaustive_enums, reason = "the format has these sections")]
pub enum SectionKind {
    /// Sizes: [`Config::encode`].
    Config = 1,
    /// One UTF-8 string per label, each after its length in bytes as u32.
    Labels = 2,
    /// Lines `key=value` about the model, UTF-8.
    Metadata = 3,
    /// The tokens and their hash table: [`crate::tokenizer::Vocabulary`].
    Vocabulary = 4,
    /// Word, position and type embeddings, their LayerNorm and projection.
    Embeddings = 5,
    /// The encoder's layers, one record of equal size per layer.
    Encoder = 6,
    /// The head's two linear layers.
    Head = 7,
}

impl SectionKind {
    /// All sections in file order.
    pub const ALL: [Self; 7] = [
        Self::Config,
        Self::Labels,
        Self::Metadata,
        Self::Vocabulary,
        Self::Embeddings,
        Self::Encoder,
        Self::Head,
    ];

    /// Returns the name for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Labels => "labels",
            Self::Metadata => "metadata",
            Self::Vocabulary => "vocabulary",
            Self::Embeddings => "embeddings",
            Self::Encoder => "encoder",
            Self::Head => "head",
        }
    }
}

/// Returns the bytes of one encoder layer's record, or `None` if they do not fit a `usize`.
pub(crate) fn layer_len(config: &Config) -> Option<usize> {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let norm = part::<f32>(hidden)?.checked_mul(2)?;
    [
        linear_len(hidden, hidden)?.checked_mul(4)?,
        norm,
        linear_len(hidden, wide)?,
        linear_len(wide, hidden)?,
        norm,
    ]
    .into_iter()
    .try_fold(0usize, usize::checked_add)
}

/// Returns the bytes of a linear layer: packed weights, then scales, weight sums and biases of its
/// padded columns.
fn linear_len(inputs: usize, outputs: usize) -> Option<usize> {
    let columns = outputs.checked_next_multiple_of(LANES)?;
    part::<i8>(columns.checked_mul(inputs)?)?.checked_add(part::<f32>(columns)?.checked_mul(3)?)
}

fn part<T>(len: usize) -> Option<usize> {
    len.checked_mul(size_of::<T>())?.checked_next_multiple_of(ALIGNMENT)
}
