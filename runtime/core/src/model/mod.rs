//! The model file, read in place: a view over bytes in a memory map or in flash.
//!
//! [`Model::parse`] checks the structure, so no later read is out of bounds, whatever the bytes
//! are. [`Model::verify`] checks the checksums. [`Model::open`] does both. [`Model::scrub`] checks
//! the checksums again while the model is in use. None of them copies weights.

mod checksum;
mod error;
pub mod format;
mod golden;
mod metadata;
mod parts;
mod scrub;

use crate::config::{Config, ConfigError};
use crate::tokenizer::Vocabulary;

pub use checksum::{FileChecksum, crc32};
pub use error::ModelError;
use format::{ALIGNMENT, ENTRY_LEN, FIRST_SECTION, HEADER_LEN, SectionKind, field};
pub use golden::{Golden, GoldenError};
pub use metadata::parse_share;
pub(crate) use parts::{Embeddings, Head, Layer, Linear};
pub use scrub::{Progress, Scrub};

#[cfg(target_endian = "big")]
compile_error!("the model file is little-endian and used in place: big-endian targets are not supported");

const SECTIONS: usize = SectionKind::ALL.len();

/// One section: its place in the file, its bytes and its stored checksum.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Section<'m> {
    /// Kind of the section.
    pub kind: SectionKind,
    /// Offset in bytes from the start of the file.
    pub offset: usize,
    /// Its bytes, without the padding that follows.
    pub bytes: &'m [u8],
    /// CRC-32 of its bytes and the padding, as stored.
    pub crc: u32,
}

impl Section<'_> {
    /// Returns the offset of the byte after the section and its padding.
    fn end(&self) -> usize {
        self.offset + self.bytes.len().next_multiple_of(ALIGNMENT)
    }
}

/// A view over a model file.
#[derive(Clone, Debug)]
pub struct Model<'m> {
    file: &'m [u8],
    /// CRC-32 of the whole file, as stored when the file was parsed.
    file_crc: u32,
    sections: [Section<'m>; SECTIONS],
    config: Config,
    vocabulary: Vocabulary<'m>,
    embeddings: Embeddings<'m>,
    layer_len: usize,
    head: Head<'m>,
}

impl<'m> Model<'m> {
    /// Parses and verifies a model file.
    ///
    /// `bytes` must begin at a multiple of four (64 is fastest) and hold the file to its last byte.
    ///
    /// # Errors
    /// Names the section or field that is wrong, the value found and the value expected.
    pub fn open(bytes: &'m [u8]) -> Result<Self, ModelError> {
        let model = Self::parse(bytes)?;
        model.verify()?;
        Ok(model)
    }

    /// Checks header, section table, sizes and vocabulary, but no checksum.
    ///
    /// Bytes that pass these checks can be run: a damaged weight gives a wrong logit, never
    /// undefined behaviour. Bytes after the length that the header states (flash that follows the
    /// file) are ignored.
    ///
    /// # Errors
    /// As [`Model::open`], except for the checksums.
    pub fn parse(bytes: &'m [u8]) -> Result<Self, ModelError> {
        let file = whole_file(bytes)?;
        let sections = read_sections(file)?;
        let [config, labels, metadata, vocabulary, embeddings, encoder, head] = sections;
        let config = Config::decode(config.bytes).map_err(ModelError::Config)?;
        check_labels(&config, labels.bytes)?;
        if core::str::from_utf8(metadata.bytes).is_err() {
            return Err(ModelError::NotUtf8(SectionKind::Metadata));
        }
        let vocabulary = Vocabulary::from_bytes(vocabulary.bytes).map_err(ModelError::Vocabulary)?;
        if vocabulary.len() > config.vocab_size {
            let (field, found) = ("tokens in the vocabulary", vocabulary.len());
            let expected = "at most vocab_size";
            return Err(ModelError::Config(ConfigError { field, found, expected }));
        }
        let layer_len = format::layer_len(&config).ok_or(ModelError::SectionLength(SectionKind::Encoder))?;
        if encoder.bytes.len() != layer_len.saturating_mul(config.num_hidden_layers) {
            return Err(ModelError::SectionLength(SectionKind::Encoder));
        }
        let embeddings = Embeddings::read(&config, embeddings.bytes)?;
        let head = Head::read(&config, head.bytes)?;
        let file_crc = u32_at(file, field::FILE_CRC);
        let model = Self { file, file_crc, sections, config, vocabulary, embeddings, layer_len, head };
        for index in 0..model.config.num_hidden_layers {
            model.layer(index)?;
        }
        Ok(model)
    }

    /// Checks the checksum of every section and of the whole file.
    ///
    /// # Errors
    /// Names the first section that is damaged, or the header with the section table.
    pub fn verify(&self) -> Result<(), ModelError> {
        self.scrub(&mut Scrub::new(), usize::MAX).map(drop)
    }

    /// Returns the sizes of the model.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the tokens.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary<'m> {
        &self.vocabulary
    }

    /// Returns the names of a classification head's labels, in the order of the logits. A head for
    /// replaced-token detection has none.
    pub fn labels(&self) -> impl Iterator<Item = &'m str> + use<'m> {
        Labels(self.sections[1].bytes)
    }

    /// Returns lines `key=value` about the model.
    #[must_use]
    pub fn metadata(&self) -> &'m str {
        // `parse` checked that the bytes are UTF-8.
        core::str::from_utf8(self.sections[2].bytes).unwrap_or_default()
    }

    /// Returns the sections, in file order.
    #[must_use]
    pub fn sections(&self) -> &[Section<'m>] {
        &self.sections
    }

    /// Returns the bytes of the whole file.
    #[must_use]
    pub fn bytes(&self) -> &'m [u8] {
        self.file
    }

    /// Returns the length of the whole file in bytes.
    #[must_use]
    pub fn file_len(&self) -> usize {
        self.file.len()
    }

    /// Returns the CRC-32 of the whole file as stored: a fingerprint of the model.
    #[must_use]
    pub fn fingerprint(&self) -> u32 {
        self.file_crc
    }

    pub(crate) fn embeddings(&self) -> &Embeddings<'m> {
        &self.embeddings
    }

    pub(crate) fn layer(&self, index: usize) -> Result<Layer<'m>, ModelError> {
        let start = index * self.layer_len;
        let record = self.sections[5].bytes.get(start..start + self.layer_len);
        Layer::read(&self.config, record.ok_or(ModelError::SectionLength(SectionKind::Encoder))?)
    }

    pub(crate) fn head(&self) -> &Head<'m> {
        &self.head
    }
}

/// Checks the header and returns the file without the bytes that follow it in memory.
fn whole_file(bytes: &[u8]) -> Result<&[u8], ModelError> {
    if bytes.len() < HEADER_LEN {
        return Err(ModelError::TooShort { needed: HEADER_LEN as u64, found: bytes.len() });
    }
    if bytes[..format::MAGIC.len()] != format::MAGIC {
        return Err(ModelError::Magic);
    }
    let order = u32_at(bytes, field::BYTE_ORDER);
    if order == format::BYTE_ORDER.swap_bytes() {
        return Err(ModelError::BigEndian);
    }
    if order != format::BYTE_ORDER {
        return Err(ModelError::Header { field: "byte order", found: order });
    }
    let version = u32_at(bytes, field::VERSION);
    if version != format::VERSION {
        return Err(ModelError::Version { found: version });
    }
    let needed = u64_at(bytes, field::FILE_LEN);
    let file = usize::try_from(needed).ok().and_then(|len| bytes.get(..len));
    let file = file.ok_or(ModelError::TooShort { needed, found: bytes.len() })?;
    let layout = u32_at(bytes, field::WEIGHT_LAYOUT);
    if layout != format::WEIGHT_LAYOUT_16X4 {
        return Err(ModelError::Header { field: "weight layout", found: layout });
    }
    let sections = u32_at(bytes, field::SECTIONS);
    if sections != SECTIONS as u32 || file.len() < FIRST_SECTION {
        return Err(ModelError::Header { field: "number of sections", found: sections });
    }
    if !file.as_ptr().cast::<u32>().is_aligned() {
        return Err(ModelError::Misaligned);
    }
    Ok(file)
}

/// Reads the section table. Sections must follow each other without gaps and fill the file.
fn read_sections(file: &[u8]) -> Result<[Section<'_>; SECTIONS], ModelError> {
    let (table, _) = file[HEADER_LEN..].as_chunks::<ENTRY_LEN>();
    let mut end = FIRST_SECTION;
    let mut sections = SectionKind::ALL.map(|kind| Section { kind, offset: 0, bytes: &file[..0], crc: 0 });
    for (section, entry) in sections.iter_mut().zip(table) {
        let kind = section.kind;
        let (offset, len) = (u64_at(entry, 8), u64_at(entry, 16));
        let reserved = [u32_at(entry, 4), u32_at(entry, 28)];
        if u32_at(entry, 0) != kind as u32 || offset != end as u64 || reserved != [0, 0] {
            return Err(ModelError::SectionTable(kind));
        }
        let padded = usize::try_from(len).ok().and_then(|len| len.checked_next_multiple_of(ALIGNMENT));
        let next = padded.and_then(|padded| end.checked_add(padded)).filter(|next| *next <= file.len());
        let next = next.ok_or(ModelError::SectionTable(kind))?;
        section.offset = end;
        section.bytes = &file[end..end + len as usize];
        section.crc = u32_at(entry, 24);
        end = next;
    }
    if end == file.len() { Ok(sections) } else { Err(ModelError::SectionTable(SectionKind::Head)) }
}

fn check_labels(config: &Config, bytes: &[u8]) -> Result<(), ModelError> {
    let mut rest = bytes;
    let mut count = 0;
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let label = after.get(..u32::from_le_bytes(*len) as usize);
        let label = label.ok_or(ModelError::SectionLength(SectionKind::Labels))?;
        if core::str::from_utf8(label).is_err() {
            return Err(ModelError::NotUtf8(SectionKind::Labels));
        }
        rest = &after[label.len()..];
        count += 1;
    }
    let expected = match config.head {
        crate::config::HeadKind::Classification => config.num_labels,
        crate::config::HeadKind::ReplacedTokenDetection => 0,
    };
    if rest.is_empty() && count == expected {
        Ok(())
    } else {
        Err(ModelError::SectionLength(SectionKind::Labels))
    }
}

/// Iterator over the labels in bytes that `check_labels` accepted.
struct Labels<'m>(&'m [u8]);

impl<'m> Iterator for Labels<'m> {
    type Item = &'m str;

    fn next(&mut self) -> Option<&'m str> {
        let (len, after) = self.0.split_first_chunk::<4>()?;
        let label = after.get(..u32::from_le_bytes(*len) as usize)?;
        self.0 = &after[label.len()..];
        core::str::from_utf8(label).ok()
    }
}

/// Returns the u32 at `at`, which the caller knows to lie inside `bytes`.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// Returns the u64 at `at`, which the caller knows to lie inside `bytes`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}
