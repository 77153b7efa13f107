//! Offsets in characters.

/// Converts offsets in bytes of a text to offsets in characters, for callers whose strings are
/// indexed by character. It takes one pass over the text if the offsets rise.
///
/// ```
/// use electra_core::tokenizer::CharacterOffsets;
///
/// let mut offsets = CharacterOffsets::new("né!");
/// assert_eq!([0, 1, 3].map(|byte| offsets.before(byte)), [0, 1, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct CharacterOffsets<'a> {
    text: &'a str,
    /// The last offset.
    bytes: usize,
    /// The same offset in characters.
    characters: usize,
}

impl<'a> CharacterOffsets<'a> {
    /// Starts at the beginning of a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, bytes: 0, characters: 0 }
    }

    /// Returns the number of characters before the byte at `offset`, which begins a character or is
    /// the end of the text. Other offsets add no characters.
    pub fn before(&mut self, offset: usize) -> usize {
        if offset < self.bytes {
            (self.bytes, self.characters) = (0, 0);
        }
        self.characters += self.text.get(self.bytes..offset).map_or(0, |part| part.chars().count());
        self.bytes = offset;
        self.characters
    }
}
