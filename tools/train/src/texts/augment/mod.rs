//! Changed copies of texts. The changes should not affect the label, and a model that learns from
//! the copies learns this. The kinds of changes are those of Ribeiro et al., "Beyond Accuracy:
//! Behavioral Testing of NLP Models with CheckList", 2020.

mod terms;
mod writing;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::run::refuse_repeated;

/// Attempts at a change before a text is left without a copy.
const TRIES: usize = 6;

/// Settings of the copies of a source's texts. The copies follow from the seed and the number of
/// the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Number of copies per text.
    pub copies: usize,
    /// Share of the texts that get copies.
    pub share: f64,
    /// Kinds of changes.
    pub kinds: Vec<Kind>,
    /// Seed that decides which texts get copies, and their changes.
    pub seed: u64,
}

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One or two typing errors.
    Typos,
    /// "is not" and "isn't", in either direction.
    Contractions,
    /// The final mark is added, removed or repeated, or commas are removed.
    Punctuation,
    /// All letters become small or capital.
    Case,
    /// An address or a handle before or after the text.
    Links,
    /// Another number with as many digits, unless it is a rating or a share.
    Numbers,
    /// Another name of a person.
    Persons,
    /// Another city or country, or one at the end of a short text without any.
    Places,
    /// Terms of religion, nationality, ethnicity, sexuality and gender are inserted or exchanged.
    Identity,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Typos,
        Self::Contractions,
        Self::Punctuation,
        Self::Case,
        Self::Links,
        Self::Numbers,
        Self::Persons,
        Self::Places,
        Self::Identity,
    ];

    /// Returns `text` with this change, or `None` if there is nothing to change.
    fn change(self, text: &str, random: &mut Stream) -> Option<String> {
        match self {
            Self::Typos => writing::typos(text, random),
            Self::Contractions => writing::contractions(text, random),
            Self::Punctuation => writing::punctuation(text, random),
            Self::Case => writing::case(text, random),
            Self::Links => Some(writing::links(text, random)),
            Self::Numbers => terms::numbers(text, random),
            Self::Persons => terms::persons(text, random),
            Self::Places => terms::places(text, random),
            Self::Identity => terms::identity(text, random),
        }
    }
}

impl Default for Augment {
    fn default() -> Self {
        Self { copies: 1, share: 1.0, kinds: Kind::ALL.to_vec(), seed: 1 }
    }
}

impl Augment {
    /// Fails for settings that make no copies. `file` is the settings' file, for messages.
    pub fn check(&self, file: &Path) -> Result<()> {
        if !(1..=16).contains(&self.copies) {
            let found = self.copies.to_string();
            return Err(Error::field(file, "data.train.augment.copies", found, "1 to 16"));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            let found = self.share.to_string();
            return Err(Error::field(file, "data.train.augment.share", found, "above 0 and at most 1"));
        }
        if self.kinds.is_empty() {
            return Err(Error::field(file, "data.train.augment.kinds", "none", "at least one"));
        }
        let names: Vec<String> = self.kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
        refuse_repeated(file, "data.train.augment.kinds", &names)
    }

    /// Makes the copies of `text`, the text of this number in its source. Each copy has one change;
    /// one in four has two. `differs` gets every copy and returns whether it is a different text to
    /// the model. There may be fewer copies than `copies`.
    pub fn copies_of(
        &self,
        text: &str,
        number: u64,
        mut differs: impl FnMut(&str) -> Result<bool>,
    ) -> Result<()> {
        let mut random = Stream::new(self.seed, Purpose::Changes, number);
        if f64::from(random.unit()) >= self.share {
            return Ok(());
        }
        for _ in 0..self.copies {
            for _ in 0..TRIES {
                let mut kind = || self.kinds[random.below(self.kinds.len())];
                let (first, second) = (kind(), kind());
                let Some(mut copy) = first.change(text, &mut random) else { continue };
                if second != first && random.below(4) == 0 {
                    copy = second.change(&copy, &mut random).unwrap_or(copy);
                }
                if copy != text && differs(&copy)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(augment: &Augment, text: &str, number: u64) -> Vec<String> {
        let mut found = Vec::new();
        let seen = augment.copies_of(text, number, |copy| {
            found.push(copy.to_owned());
            Ok(true)
        });
        seen.unwrap();
        found
    }

    #[test]
    fn copies_follow_from_seed_and_number() {
        let augment = Augment { copies: 3, ..Augment::default() };
        let text = "Anna is not happy with the 25 rooms in Berlin.";
        let found = copies(&augment, text, 7);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|copy| copy != text));
        assert_eq!(found, copies(&augment, text, 7));
        assert_ne!(found, copies(&augment, text, 8));
        assert_ne!(found, copies(&Augment { seed: 2, ..augment.clone() }, text, 7));
        let few = Augment { share: 0.25, ..Augment::default() };
        let count: usize = (0..2000).map(|number| copies(&few, text, number).len()).sum();
        // Six standard deviations of a binomial(2000, 0.25).
        assert!(count.abs_diff(500) < 120, "{count}");
    }

    #[test]
    fn a_copy_that_no_model_could_tell_apart_is_none() {
        let augment = Augment { kinds: vec![Kind::Numbers, Kind::Persons], ..Augment::default() };
        assert!(copies(&augment, "The film was good.", 1).is_empty());
        assert!(copies(&augment, "", 1).is_empty());
        let mut asked = 0;
        Augment::default()
            .copies_of("The film was good.", 1, |_| {
                asked += 1;
                Ok(false)
            })
            .unwrap();
        assert!((1..=TRIES).contains(&asked), "{asked}");
    }

    #[test]
    fn settings_without_copies_are_refused() {
        let check = |text: &str| {
            let augment: Augment = toml::from_str(text).unwrap();
            augment.check(Path::new("a.toml")).map_err(|error| error.to_string())
        };
        check("kinds = [\"typos\", \"identity\"]").unwrap();
        for (text, expected) in [
            ("copies = 0", "augment.copies: found 0, expected 1 to 16"),
            ("share = 0.0", "augment.share: found 0, expected above 0 and at most 1"),
            ("kinds = []", "augment.kinds: found none, expected at least one"),
            ("kinds = [\"case\", \"case\"]", "augment.kinds: found case twice, expected each once"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
