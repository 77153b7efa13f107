//! Checks the checksums of a model again while it is in use, a piece at a time.
//!
//! Memory can change after a model was opened: a bit of RAM or flash flips, or somebody overwrites
//! a mapped file. A scrub reads the whole file again and again and names the section that changed.

use core::fmt;

use super::checksum::FileChecksum;
use super::format::{FIRST_SECTION, field};
use super::{Model, ModelError, u32_at};

/// The position of a scrub in a model. It belongs to one model; with another model the result is
/// meaningless.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use electra_core::model::{Progress, Scrub};
///
/// # let flash: &[u8] = &[];
/// let model = electra_core::Model::open(flash)?;
/// let mut scrub = Scrub::new();
/// // For example once per run of the model:
/// if model.scrub(&mut scrub, 4096)? == Progress::RoundComplete {
///     // Every byte was read since the last time, and none has changed.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Scrub(Option<Round>);

/// A round that has begun.
struct Round {
    checksum: FileChecksum,
    /// Index of the section that is being read.
    section: usize,
    /// Offset in the file of the next byte.
    at: usize,
}

/// Result of a piece without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// More pieces of the round follow.
    Underway,
    /// The piece was the last one of a round: every byte of the file was read and is intact.
    RoundComplete,
}

impl Scrub {
    /// Returns a position before the first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.as_ref().map_or(0, |round| round.at);
        f.debug_struct("Scrub").field("at", &at).finish_non_exhaustive()
    }
}

impl Model<'_> {
    /// Checks the next `bytes` bytes of the file. The first piece of a round has at least the 320
    /// bytes of the header and the section table, and every other piece at least one byte. A piece
    /// ends with the round. The next call begins the next round, also after an error.
    ///
    /// A round finds everything that [`Model::verify`] finds. The expected checksums are those that
    /// were in the file when it was parsed, so a change of a stored checksum is found as well.
    ///
    /// # Errors
    /// When a section has ended and its checksum is wrong: [`ModelError::SectionChecksum`]. When
    /// the round has ended and the header or the section table is damaged:
    /// [`ModelError::FileChecksum`].
    pub fn scrub(&self, state: &mut Scrub, bytes: usize) -> Result<Progress, ModelError> {
        let mut left = bytes.max(1);
        let mut round = state.0.take().unwrap_or_else(|| {
            left = left.saturating_sub(FIRST_SECTION);
            let checksum = FileChecksum::new(&self.file[..FIRST_SECTION]);
            Round { checksum, section: 0, at: FIRST_SECTION }
        });
        while let Some(section) = self.sections.get(round.section) {
            let end = section.end().min(round.at.saturating_add(left));
            // The range is valid, unless the state belongs to another model.
            let piece = self.file.get(round.at..end).unwrap_or_default();
            round.checksum.section_piece(piece);
            left -= piece.len();
            round.at = end;
            if end < section.end() {
                state.0 = Some(round);
                return Ok(Progress::Underway);
            }
            if round.checksum.end_section() != section.crc {
                return Err(ModelError::SectionChecksum(section.kind));
            }
            round.section += 1;
        }
        let is_intact = round.checksum.finish() == self.file_crc;
        // The checksum of the file does not include its own four bytes.
        if is_intact && u32_at(self.file, field::FILE_CRC) == self.file_crc {
            Ok(Progress::RoundComplete)
        } else {
            Err(ModelError::FileChecksum)
        }
    }
}
