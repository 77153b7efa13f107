//! Where the default model lies.

use std::path::PathBuf;

const NAME: &str = "electra-small-sentiment/model.electra";

/// Paths to try, in order: beside and above the executable (an installed tree, a checkout's `target`), then the
/// checkout that this library was built from.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        let folder = executable.parent();
        candidates.extend(folder.map(|folder| folder.join(NAME)));
        candidates
            .extend(folder.and_then(|f| f.parent()).map(|prefix| prefix.join("share/electra").join(NAME)));
        // target/release/electra and target/aarch64-.../release/deps/test lie two to four levels deep.
        candidates.extend(executable.ancestors().skip(2).take(4).map(|root| root.join("models").join(NAME)));
    }
    candidates.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models")).join(NAME));
    candidates
}
