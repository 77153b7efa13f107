//! Packing of a folder or a file, from reading to the checked model file.

use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::hugging_face;
use crate::model_file::{Packed, pack};

/// A checkpoint to pack, and what the model file says about it. [`Source::new`] sets the defaults,
/// and each method changes one of them.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    #[cfg(feature = "onnx")]
    vocabulary: Option<PathBuf>,
    name: Option<String>,
    language: Option<String>,
}

/// Returns whether the path names an ONNX file; otherwise it names a Hugging Face folder.
#[must_use]
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

impl Source {
    /// Names a Hugging Face folder or, with the feature `onnx`, an ONNX file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            #[cfg(feature = "onnx")]
            vocabulary: None,
            name: None,
            language: None,
        }
    }

    /// Sets the vocabulary of an ONNX file. By default it lies beside the file.
    #[cfg(feature = "onnx")]
    #[must_use]
    pub fn vocabulary(self, vocabulary: Option<PathBuf>) -> Self {
        Self { vocabulary, ..self }
    }

    /// Sets the name of the model. By default it is that of the folder or file.
    #[must_use]
    pub fn name(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// Sets the language of the model, for example `en`. By default the model file has none.
    #[must_use]
    pub fn language(self, language: Option<String>) -> Self {
        Self { language, ..self }
    }

    /// Reads the checkpoint, packs it, and checks that the runtime can open the result.
    ///
    /// # Errors
    /// Fails if a file cannot be read or something in it is unsupported, and if the model cannot be
    /// packed.
    pub fn pack(&self) -> Result<Packed, Error> {
        let checkpoint = self.read()?;
        let stem = self.path.canonicalize().ok();
        let stem = stem.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
        let name = self.name.clone().or(stem).unwrap_or_default();
        let mut metadata =
            vec![("name", name.as_str()), ("packer", concat!("electra ", env!("CARGO_PKG_VERSION")))];
        metadata.extend(self.language.as_deref().map(|language| ("language", language)));
        let failed = |source| Error::Pack { file: self.path.clone(), source };
        let packed = pack(&checkpoint, &metadata).map_err(failed)?;
        packed.check().map_err(failed)?;
        Ok(packed)
    }

    #[cfg(feature = "onnx")]
    fn read(&self) -> Result<Checkpoint, Error> {
        use crate::onnx;
        if is_onnx(&self.path) {
            return onnx::read(&self.path, &onnx::Options { vocabulary: self.vocabulary.clone() });
        }
        hugging_face::read(&self.path)
    }

    #[cfg(not(feature = "onnx"))]
    fn read(&self) -> Result<Checkpoint, Error> {
        if is_onnx(&self.path) {
            let expected = "a Hugging Face folder; the command `electra pack` reads ONNX files";
            return Err(Error::field(&self.path, "source", "an ONNX file", expected));
        }
        hugging_face::read(&self.path)
    }
}
