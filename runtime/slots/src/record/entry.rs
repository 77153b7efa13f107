//! One entry of the record. It holds the complete state, so the newest entry is enough.
//!
//! Sixteen u32, little-endian:
//!
//! | word | content |
//! |---|---|
//! | 0 | `ESL1` |
//! | 1 | sequence number |
//! | 2 | active slot: 0 = A, 1 = B |
//! | 3 | 0 = the active model is confirmed; n + 1 = it is on trial, and n starts were counted |
//! | 4 to 8 | slot A: content (0 = none, 1 = arriving, 2 = whole), length, CRC-32, version, bytes arrived |
//! | 9 to 13 | slot B |
//! | 14 | zero |
//! | 15 | CRC-32 of the words before it |

use electra_core::model::crc32;

use crate::layout::{Layout, Slot};
use crate::model::{ModelInfo, header_len};

/// Bytes of an entry. It lies at a multiple of this or of the flash's `WRITE_SIZE`.
pub(crate) const ENTRY_LEN: usize = 64;

const MAGIC: u32 = u32::from_le_bytes(*b"ESL1");
const WORDS: usize = ENTRY_LEN / 4;

/// Content of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing that may be used.
    None,
    /// A model that is being received.
    Arriving {
        model: ModelInfo,
        /// Bytes that are in the slot: whole sectors.
        arrived: u32,
    },
    /// A model that passed its checks.
    Whole(ModelInfo),
}

/// Whether the active model has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    Confirmed,
    OnTrial { starts: u32 },
}

/// The state of the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) active: Slot,
    pub(crate) trial: Trial,
    pub(crate) slot_a: Content,
    pub(crate) slot_b: Content,
}

impl State {
    pub(crate) fn content(&self, slot: Slot) -> Content {
        match slot {
            Slot::A => self.slot_a,
            Slot::B => self.slot_b,
        }
    }

    /// Returns the same state with another content of one slot.
    pub(crate) fn with(mut self, slot: Slot, content: Content) -> Self {
        match slot {
            Slot::A => self.slot_a = content,
            Slot::B => self.slot_b = content,
        }
        self
    }

    pub(crate) fn encode(&self, sequence: u32) -> [u8; ENTRY_LEN] {
        let trial = match self.trial {
            Trial::Confirmed => 0,
            Trial::OnTrial { starts } => starts.saturating_add(1),
        };
        let [kind_a, length_a, crc_a, version_a, arrived_a] = encode_content(self.slot_a);
        let [kind_b, length_b, crc_b, version_b, arrived_b] = encode_content(self.slot_b);
        let words: [u32; WORDS - 1] = [
            MAGIC,
            sequence,
            match self.active {
                Slot::A => 0,
                Slot::B => 1,
            },
            trial,
            kind_a,
            length_a,
            crc_a,
            version_a,
            arrived_a,
            kind_b,
            length_b,
            crc_b,
            version_b,
            arrived_b,
            0,
        ];
        let mut entry = [0; ENTRY_LEN];
        if let Some((before, last)) = entry.split_last_chunk_mut::<4>() {
            for (bytes, word) in before.chunks_exact_mut(4).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            *last = crc32(before).to_le_bytes();
        }
        entry
    }

    /// Returns the sequence number and the state of an entry, or `None` if these bytes are not a
    /// complete entry of a record for this layout and sector size.
    pub(crate) fn decode(entry: &[u8; ENTRY_LEN], layout: &Layout, erase_size: u32) -> Option<(u32, Self)> {
        let (before, crc) = entry.split_last_chunk::<4>()?;
        if crc32(before) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(entry.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [magic, sequence, active, trial, a0, a1, a2, a3, a4, b0, b1, b2, b3, b4, _zero, _crc] = words;
        if magic != MAGIC {
            return None;
        }
        let active = match active {
            0 => Slot::A,
            1 => Slot::B,
            _ => return None,
        };
        let trial = match trial.checked_sub(1) {
            None => Trial::Confirmed,
            Some(starts) => Trial::OnTrial { starts },
        };
        let slot_a = decode_content([a0, a1, a2, a3, a4], layout.slot_len(Slot::A), erase_size)?;
        let slot_b = decode_content([b0, b1, b2, b3, b4], layout.slot_len(Slot::B), erase_size)?;
        Some((sequence, Self { active, trial, slot_a, slot_b }))
    }
}

fn encode_content(content: Content) -> [u32; 5] {
    match content {
        Content::None => [0; 5],
        Content::Arriving { model, arrived } => [1, model.length, model.crc, model.version, arrived],
        Content::Whole(model) => [2, model.length, model.crc, model.version, 0],
    }
}

fn decode_content(words: [u32; 5], slot_len: u32, erase_size: u32) -> Option<Content> {
    let [kind, length, crc, version, arrived] = words;
    let model = ModelInfo { length, crc, version };
    let fits = (header_len()..=slot_len).contains(&length);
    match kind {
        0 => Some(Content::None),
        1 if fits && arrived <= length && arrived.is_multiple_of(erase_size) => {
            Some(Content::Arriving { model, arrived })
        }
        2 if fits => Some(Content::Whole(model)),
        _ => None,
    }
}
