//! Text input: files, the tokenizer, the cache of token ids, labelled rows.

mod id_cache;
mod labelled;
mod leave_out;
mod pieces;
mod text;
mod tokenizer;

pub use id_cache::{IdCache, IdFile};
pub use labelled::{Example, LabelAs, Source};
pub use pieces::piece_map;
pub use text::open_text;
pub use tokenizer::{Special, WordPieceTokenizer};
