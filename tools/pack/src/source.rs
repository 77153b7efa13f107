//! Packing of a folder or a file, from reading to the checked model file.

use std::path::{Path, PathBuf};

use electra_core::Model;
use electra_formats::file;

use crate::checkpoint::{Checkpoint, Head};
use crate::error::Error;
use crate::hugging_face;
use crate::model_file::{PackError, Packed, convert, pack, section_sizes, with_metadata};
use crate::notes::{AlignedBytes, Notes};

/// Largest model file that is read, in bytes. Flash and memory of devices are far smaller.
const MAX_MODEL_FILE: u64 = 1 << 32;

/// A checkpoint to pack, and what the model file says about it. [`Source::new`] sets the defaults,
/// and each method changes one of them.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    #[cfg(feature = "onnx")]
    vocabulary: Option<PathBuf>,
    notes: Notes,
}

/// Returns whether the path names an ONNX file; otherwise it names a Hugging Face folder.
#[must_use]
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// Returns whether the path names a model file, whose metadata can be changed.
#[must_use]
pub fn is_model_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("electra"))
}

impl Source {
    /// Names a Hugging Face folder, a model file or, with the feature `onnx`, an ONNX file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            #[cfg(feature = "onnx")]
            vocabulary: None,
            notes: Notes::default(),
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
    pub fn name(mut self, name: Option<String>) -> Self {
        self.notes.name = name;
        self
    }

    /// Sets the language of the model, for example `en`. By default the model file has none.
    #[must_use]
    pub fn language(mut self, language: Option<String>) -> Self {
        self.notes.language = language;
        self
    }

    /// Sets the version of the model. By default the model file has none.
    #[must_use]
    pub fn version(mut self, version: Option<u32>) -> Self {
        self.notes.version = version;
        self
    }

    /// Adds the threshold of a label: a number from 0 to 1 with at most six decimals. If the label
    /// has a lower score, the answer is UNSURE.
    #[must_use]
    pub fn threshold(mut self, label: impl Into<String>, score: impl Into<String>) -> Self {
        self.notes.thresholds.push((label.into(), score.into()));
        self
    }

    /// Adds a golden sentence, whose exact logits are stored in the model file. By default there
    /// are three in English.
    #[must_use]
    pub fn golden(mut self, text: impl Into<String>) -> Self {
        self.notes.golden.push(text.into());
        self
    }

    /// Reads the checkpoint, packs it, and checks that the runtime can open the result. The exact
    /// logits of the golden sentences come from a run of the packed model.
    ///
    /// # Errors
    /// Fails if a file cannot be read or something in it is unsupported, and if the model cannot be
    /// packed.
    pub fn pack(&self) -> Result<Packed, Error> {
        let failed = |source| Error::Pack { file: self.path.clone(), source };
        let checkpoint = self.read()?;
        let labels = match &checkpoint.config.head {
            Head::Classification { labels } => &labels[..],
            Head::ReplacedTokenDetection => &[],
        };
        let stem = self.path.canonicalize().ok();
        let stem = stem.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
        let mut notes = self.notes.clone();
        notes.name = notes.name.or(stem).or_else(|| Some(String::new()));
        let metadata = notes.lines("", labels).map_err(failed)?;
        let mut packed = pack(&checkpoint, &metadata).map_err(failed)?;
        packed.bytes = self.with_golden(&packed.bytes, metadata).map_err(failed)?;
        packed.sections = section_sizes(&packed.bytes).map_err(failed)?;
        Ok(packed)
    }

    /// Reads a model file and returns it with other metadata. Entries that are not set stay the
    /// same, and the logits of the golden sentences are computed again. A file of version 1 of the
    /// format becomes one of the present version.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not an intact model file, or if an entry cannot be
    /// stored.
    pub fn change_metadata(&self) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::Pack { file: self.path.clone(), source };
        let mut bytes = file::read_bytes(&self.path, MAX_MODEL_FILE)?;
        convert(&mut bytes);
        let bytes = AlignedBytes::of(&bytes);
        let model = Model::open(bytes.as_slice()).map_err(|source| {
            Error::field(&self.path, "source", source.to_string(), "an intact model file")
        })?;
        let labels: Vec<String> = model.labels().map(str::to_owned).collect();
        let metadata = self.notes.lines(model.metadata(), &labels).map_err(failed)?;
        self.with_golden(bytes.as_slice(), metadata).map_err(failed)
    }

    /// Returns the model file with this metadata and the golden sentences. They are run on the file
    /// that is given.
    fn with_golden(&self, file: &[u8], mut metadata: Vec<(String, String)>) -> Result<Vec<u8>, PackError> {
        let bytes = AlignedBytes::of(file);
        let model = Model::open(bytes.as_slice()).map_err(PackError::Unreadable)?;
        metadata.extend(self.notes.golden_lines(&model)?);
        let packed = with_metadata(&model, &metadata)?;
        Model::open(AlignedBytes::of(&packed).as_slice()).map_err(PackError::Unreadable)?;
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
