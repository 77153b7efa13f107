//! Text in: files, the tokenizer, the cache of token ids, labelled rows.

mod id_cache;
mod labelled;
mod leave_out;
mod pieces;
mod text;
mod tokenizer;
mod vocabulary;

pub use id_cache::{IdCache, IdFile};
pub use labelled::{Example, Source};
pub use pieces::{Pieces, piece_map};
pub use text::open_text;
pub use tokenizer::{Special, WordPieceTokenizer};
pub use vocabulary::read_vocabulary;
