//! Builds the vocabulary section of a model file. `electra_core::tokenizer::vocabulary` describes
//! its format.

use std::collections::HashMap;
use std::{error, fmt};

use electra_core::tokenizer::hash;
use electra_core::tokenizer::vocabulary::{
    BLOCK_TOKENS, CONTINUATION_PREFIX, EMPTY_SLOT, MAX_PROBES, MAX_SLOT_BITS, MAX_TOKEN_BYTES, MAX_TOKENS,
    SPECIAL_TOKENS,
};

/// Builds the section from the tokens in the order of their ids. If a text occurs twice, it has the
/// id of the last token.
///
/// # Errors
///
/// Fails if there are no tokens or too many, a token is too long, a special token is missing, or
/// searches are too long even in a hash table of the largest size.
pub fn build_section(tokens: &[String]) -> Result<Vec<u8>, VocabularyBuildError> {
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return Err(VocabularyBuildError::TokenCount { found: tokens.len() });
    }
    if let Some(id) = tokens.iter().position(|token| token.len() > MAX_TOKEN_BYTES) {
        return Err(VocabularyBuildError::TokenLength { id, found: tokens[id].len() });
    }
    // MAX_TOKENS ids fit into a u16.
    let ids: HashMap<&str, u16> =
        (0..=u16::MAX).zip(tokens).map(|(id, token)| (token.as_str(), id)).collect();
    let mut special = Vec::new();
    for token in SPECIAL_TOKENS {
        special.push(*ids.get(token).ok_or(VocabularyBuildError::SpecialToken { token })?);
    }
    let table = Table::build(tokens, &ids)?;
    let longest = tokens.iter().map(|token| without_prefix(token).chars().count()).max().unwrap_or(0);
    let text: String = tokens.concat();

    let mut section = Vec::new();
    section.extend((tokens.len() as u32).to_le_bytes());
    // MAX_TOKENS tokens of MAX_TOKEN_BYTES bytes fit into a u32.
    section.extend((text.len() as u32).to_le_bytes());
    let numbers = [table.slot_bits as u16, longest as u16, table.probes];
    section.extend(special.into_iter().chain(numbers).flat_map(u16::to_le_bytes));
    let (blocks, starts) = starts(tokens);
    section.extend(blocks.into_iter().flat_map(u32::to_le_bytes));
    section.extend(starts.into_iter().chain(table.slots).flat_map(u16::to_le_bytes));
    section.extend(text.into_bytes());
    Ok(section)
}

/// Returns the absolute start of each block of tokens, and the start of each token relative to its
/// block, followed by the end of the last token.
fn starts(tokens: &[String]) -> (Vec<u32>, Vec<u16>) {
    let (mut blocks, mut starts) = (Vec::new(), Vec::new());
    let mut at = 0u32;
    for token in 0..=tokens.len() {
        if token % BLOCK_TOKENS == 0 {
            blocks.push(at);
        }
        // 255 tokens of at most MAX_TOKEN_BYTES bytes fit into a u16.
        starts.push((at - blocks[token / BLOCK_TOKENS]) as u16);
        at += tokens.get(token).map_or(0, |token| token.len() as u32);
    }
    (blocks, starts)
}

fn without_prefix(token: &str) -> &str {
    token.strip_prefix(CONTINUATION_PREFIX).unwrap_or(token)
}

struct Table {
    slots: Vec<u16>,
    slot_bits: u32,
    /// Largest number of slots that a search visits.
    probes: u16,
}

impl Table {
    /// Builds the smallest table that is at most half full and keeps searches short. If tokens
    /// cluster, it tries larger sizes.
    fn build(tokens: &[String], ids: &HashMap<&str, u16>) -> Result<Self, VocabularyBuildError> {
        let least = (2 * tokens.len()).next_power_of_two().trailing_zeros().max(1);
        (least..=MAX_SLOT_BITS)
            .find_map(|slot_bits| Self::of_size(slot_bits, tokens, ids))
            .ok_or(VocabularyBuildError::Clusters)
    }

    fn of_size(slot_bits: u32, tokens: &[String], ids: &HashMap<&str, u16>) -> Option<Self> {
        let mut slots = vec![EMPTY_SLOT; 1 << slot_bits];
        let mut probes = 0;
        for (id, token) in (0..=u16::MAX).zip(tokens) {
            if ids.get(token.as_str()) != Some(&id) {
                continue;
            }
            let rest = without_prefix(token);
            let first = hash::first_slot(hash::of(rest), rest.len() < token.len(), slot_bits);
            let distance = (0..usize::from(MAX_PROBES))
                .find(|distance| slots[(first + distance) % slots.len()] == EMPTY_SLOT)?;
            let slot = (first + distance) % slots.len();
            slots[slot] = id;
            probes = probes.max(distance as u16 + 1);
        }
        Some(Self { slots, slot_bits, probes })
    }
}

/// Reason why a vocabulary section cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VocabularyBuildError {
    /// There are no tokens, or more than 16-bit ids can number.
    TokenCount {
        /// Number of tokens.
        found: usize,
    },
    /// A token is too long.
    TokenLength {
        /// Id of the token.
        id: usize,
        /// Length of the token in bytes.
        found: usize,
    },
    /// A special token is missing.
    SpecialToken {
        /// Text of the token.
        token: &'static str,
    },
    /// A token is too far from its place in the hash table, even in the largest one.
    Clusters,
}

impl fmt::Display for VocabularyBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenCount { found } => {
                write!(f, "vocabulary: {found} tokens, expected 1 to {MAX_TOKENS}")
            }
            Self::TokenLength { id, found } => {
                write!(f, "vocabulary: token {id} has {found} bytes, expected at most {MAX_TOKEN_BYTES}")
            }
            Self::SpecialToken { token } => write!(f, "vocabulary: the special token {token} is missing"),
            Self::Clusters => write!(
                f,
                "vocabulary: a token is more than {MAX_PROBES} slots from its place in a hash table of \
                 2^{MAX_SLOT_BITS} slots"
            ),
        }
    }
}

impl error::Error for VocabularyBuildError {}

#[cfg(test)]
mod tests {
    use electra_core::tokenizer::Vocabulary;

    use super::*;

    fn with_special(more: &[&str]) -> Vec<String> {
        SPECIAL_TOKENS.iter().chain(more).map(|&token| token.to_owned()).collect()
    }

    /// Copies a section to an address at which its numbers are aligned.
    fn aligned(section: &[u8], check: impl FnOnce(Vocabulary<'_>)) {
        let mut bytes = vec![0; section.len() + 3];
        let start = bytes.as_ptr().align_offset(4);
        let bytes = &mut bytes[start..start + section.len()];
        bytes.copy_from_slice(section);
        check(Vocabulary::from_bytes(bytes).expect("the builder writes valid sections"));
    }

    #[test]
    fn every_token_is_found_and_of_equal_ones_the_last() {
        let tokens = with_special(&["a", "##a", "", "é", "a", "##", "#", "##é", "字"]);
        let section = build_section(&tokens).expect("nothing is wrong with the tokens");
        aligned(&section, |vocabulary| {
            assert_eq!(vocabulary.len(), tokens.len());
            for (id, token) in (0..=u16::MAX).zip(&tokens) {
                assert_eq!(vocabulary.token(id), Some(token.as_str()));
                let last = tokens.iter().rposition(|other| other == token).map(|id| id as u16);
                assert_eq!(vocabulary.id(token), last);
            }
            assert_eq!(vocabulary.token(tokens.len() as u16), None);
            assert_eq!(vocabulary.id("b"), None);
        });
    }

    #[test]
    fn the_largest_vocabulary_is_built_and_a_larger_one_refused() {
        let mut tokens = with_special(&[]);
        tokens.extend((tokens.len()..MAX_TOKENS).map(|id| format!("##t{id}")));
        let section = build_section(&tokens).expect("ids number this many tokens");
        aligned(&section, |vocabulary| {
            assert_eq!(vocabulary.id("##t65534"), Some(65_534));
            assert_eq!(vocabulary.id("##t40000"), Some(40_000));
        });
        tokens.push("one more".to_owned());
        assert_eq!(build_section(&tokens), Err(VocabularyBuildError::TokenCount { found: 65_536 }));
    }

    #[test]
    fn invalid_vocabularies_are_refused() {
        assert_eq!(build_section(&[]), Err(VocabularyBuildError::TokenCount { found: 0 }));
        for missing in SPECIAL_TOKENS {
            let tokens: Vec<String> =
                with_special(&["a"]).into_iter().filter(|token| token != missing).collect();
            assert_eq!(build_section(&tokens), Err(VocabularyBuildError::SpecialToken { token: missing }));
        }
        let long = "x".repeat(256);
        assert_eq!(
            build_section(&with_special(&["a", &long])),
            Err(VocabularyBuildError::TokenLength { id: 6, found: 256 })
        );
    }
}
