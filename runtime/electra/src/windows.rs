//! Division of long texts into overlapping windows of as many tokens as the engine takes.

use electra_core::tokenizer::{Token, Tokenizer};

use crate::error::Error;

/// One in this many tokens of a full window is repeated in the next window. Otherwise a sentence at
/// the border would be seen only cut in two.
const OVERLAP: usize = 4;

/// Buffers for the current window, reused from text to text.
pub(crate) struct Windows {
    /// `[CLS]`, the window's tokens, `[SEP]`.
    ids: Vec<u16>,
    tokens: Vec<Token>,
    /// Tokens of a full window, without `[CLS]` and `[SEP]`.
    capacity: usize,
}

/// One window of a text.
pub(crate) struct Window<'a> {
    /// `[CLS]`, the window's tokens, `[SEP]`.
    pub ids: &'a [u16],
    /// The window's tokens.
    pub tokens: &'a [Token],
    /// Tokens at its start that the previous window ended with.
    pub repeated: usize,
    /// Tokens at its end that the next window repeats.
    pub to_repeat: usize,
}

impl Window<'_> {
    /// Returns the weight of the window in the mean of a text: the number of tokens that it adds.
    pub(crate) fn weight(&self) -> f64 {
        (self.tokens.len() - self.repeated).max(1) as f64
    }
}

/// Windows and tokens of a text that were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Windows that were run.
    pub windows: usize,
    /// Tokens of the text that were in a window, without `[CLS]` and `[SEP]`.
    pub tokens: usize,
    /// Whether tokens were left out.
    pub truncated: bool,
}

impl Windows {
    pub(crate) fn new(max_tokens: usize) -> Self {
        let capacity = max_tokens - 2;
        Self { ids: Vec::with_capacity(max_tokens), tokens: Vec::with_capacity(capacity), capacity }
    }

    /// Calls `run` with each window of `text`, or only with the first if `truncate`. A text without
    /// tokens has one window of `[CLS]` and `[SEP]`.
    pub(crate) fn each(
        &mut self,
        tokenizer: &Tokenizer<'_>,
        text: &str,
        truncate: bool,
        mut run: impl FnMut(Window<'_>) -> Result<(), Error>,
    ) -> Result<Coverage, Error> {
        let special = tokenizer.vocabulary().special();
        let overlap = self.capacity / OVERLAP;
        let mut pieces = tokenizer.pieces(text).map_err(Error::Text)?;
        let mut coverage = Coverage { windows: 0, tokens: 0, truncated: false };
        let mut repeated = 0;
        self.tokens.clear();
        loop {
            self.tokens.extend(pieces.by_ref().take(self.capacity - self.tokens.len()));
            let next = if self.tokens.len() == self.capacity { pieces.next() } else { None };
            self.ids.clear();
            self.ids.push(special.cls);
            self.ids.extend(self.tokens.iter().map(|token| token.id));
            self.ids.push(special.sep);
            let to_repeat = if next.is_some() && !truncate { overlap } else { 0 };
            run(Window { ids: &self.ids, tokens: &self.tokens, repeated, to_repeat })?;
            coverage.windows += 1;
            coverage.tokens += self.tokens.len() - repeated;
            let Some(next) = next else { return Ok(coverage) };
            if truncate {
                return Ok(Coverage { truncated: true, ..coverage });
            }
            self.tokens.drain(..self.capacity - overlap);
            self.tokens.push(next);
            repeated = overlap;
        }
    }
}
