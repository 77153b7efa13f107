//! Where the default models lie.

use std::path::PathBuf;

/// The one that says what a text feels.
#[cfg(not(feature = "embed-model"))]
pub(crate) const SENTIMENT: &str = "electra-small-sentiment/model.electra";
/// The one that says which tokens look replaced.
pub(crate) const REPLACED_TOKENS: &str = "electra-small-rtd/model.electra";

/// Paths to try, in order: beside and above the executable (an installed tree, a checkout's `target`), then the
/// checkout that this library was built from.
pub(crate) fn candidates(name: &str) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        let folder = executable.parent();
        candidates.extend(folder.map(|folder| folder.join(name)));
        candidates
            .extend(folder.and_then(|f| f.parent()).map(|prefix| prefix.join("share/electra").join(name)));
        // target/release/electra and target/aarch64-.../release/deps/test lie two to four levels deep.
        candidates.extend(executable.ancestors().skip(2).take(4).map(|root| root.join("models").join(name)));
    }
    candidates.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models")).join(name));
    candidates
}
