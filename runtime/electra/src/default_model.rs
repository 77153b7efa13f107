//! Paths of the default models.

use std::path::PathBuf;

/// The sentiment model.
#[cfg(not(feature = "embed-model"))]
pub(crate) const SENTIMENT: &str = "electra-small-sentiment/model.electra";
/// The model for replaced-token detection.
pub(crate) const REPLACED_TOKENS: &str = "electra-small-rtd/model.electra";

/// Returns the paths to try, in order: beside and above the executable (an installed tree, or the
/// `target` folder of a checkout), then in the checkout from which this library was built.
pub(crate) fn candidates(name: &str) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        let folder = executable.parent();
        candidates.extend(folder.map(|folder| folder.join(name)));
        candidates
            .extend(folder.and_then(|f| f.parent()).map(|prefix| prefix.join("share/electra").join(name)));
        // The folders of target/release/electra and target/aarch64-.../release/deps/test are two to
        // four levels below the checkout.
        candidates.extend(executable.ancestors().skip(2).take(4).map(|root| root.join("models").join(name)));
    }
    // A package is used on other machines than the one that built it.
    if option_env!("ELECTRA_PACKAGED").is_none() {
        candidates.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models")).join(name));
    }
    candidates
}
