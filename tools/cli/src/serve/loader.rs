//! Opens the model for the workers, at the start and at each reload.

use std::path::PathBuf;
use std::sync::Arc;

use electra::{
    Classification, Classifier, ClassifierOptions, Detection, Detector, EngineOptions, HeadKind, ModelFile,
};

use super::protocol::Refusal;
use crate::args::open_model;
use crate::commands::classify::classifiers_of;
use crate::failure::Failure;
use crate::output::one_line;
use crate::trust::RequiredKey;

/// Creates the workers' engines.
#[derive(Clone)]
pub(crate) struct Loader {
    pub model: Option<PathBuf>,
    pub options: ClassifierOptions,
    pub workers: usize,
    /// The key by which a model must be signed.
    pub key: Option<RequiredKey>,
    /// Whether a reload may load an older version of the model.
    pub allow_downgrade: bool,
    /// Whether a model for replaced-token detection is accepted. The line protocol has no answer
    /// for it.
    pub detectors: bool,
}

/// A model in use.
#[derive(Clone)]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only HTTP shows all figures"))]
pub(crate) struct Loaded {
    pub file: ModelFile,
    /// The labels that can be answers. There are none for replaced-token detection.
    pub labels: Vec<Arc<str>>,
    /// Whether the answer can be UNSURE.
    #[cfg_attr(not(feature = "mqtt"), allow(dead_code, reason = "only MQTT lists all answers"))]
    pub unsure: bool,
    /// Longest sequence in tokens.
    pub max_tokens: usize,
    /// Size of the arenas of all workers in bytes.
    pub arena_bytes: usize,
}

/// The engine of a worker.
pub(crate) enum Model {
    Classifier(Box<Classifier>),
    Detector(Box<Detector>),
}

impl Loader {
    /// Opens the model once and creates an engine per worker.
    ///
    /// # Errors
    /// Fails if the file is not an intact model, if it lacks a signature that is required, if a
    /// golden sentence has other logits than the file states, or if the model does not fit the
    /// options.
    pub(crate) fn load(&self) -> Result<(Loaded, Vec<Model>), Failure> {
        let file = open_model(self.model.as_ref())?;
        if let Some(key) = &self.key {
            key.verify(&file, None)?;
        }
        match electra::self_test(&file, &EngineOptions::new().engine(self.options.engine.engine)) {
            // Files of older packers have no golden sentences.
            Ok(_) | Err(electra::Error::NoGolden { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let models: Vec<Model> =
            if self.detectors && file.model().config().head == HeadKind::ReplacedTokenDetection {
                self.detectors_of(&file)?
            } else {
                let classifiers = classifiers_of(&file, &self.options, self.workers)?;
                classifiers.into_iter().map(|it| Model::Classifier(Box::new(it))).collect()
            };
        let engines = || {
            models.iter().map(|model| match model {
                Model::Classifier(classifier) => classifier.engine(),
                Model::Detector(detector) => detector.engine(),
            })
        };
        let (labels, unsure) = match models.first() {
            Some(Model::Classifier(classifier)) => {
                let thresholds = classifier.thresholds();
                (classifier.labels().to_vec(), thresholds.iter().any(|threshold| *threshold > 0.0))
            }
            Some(Model::Detector(_)) | None => (Vec::new(), false),
        };
        let loaded = Loaded {
            labels,
            unsure,
            max_tokens: engines().next().map_or(0, electra::Engine::max_tokens),
            arena_bytes: engines().map(electra::Engine::arena_bytes).sum(),
            file,
        };
        Ok((loaded, models))
    }

    /// Loads the model again as [`Loader::load`] does.
    ///
    /// # Errors
    /// As [`Loader::load`], and if the model is an older version than `current`.
    pub(crate) fn load_after(&self, current: &Loaded) -> Result<(Loaded, Vec<Model>), Failure> {
        let (loaded, models) = self.load()?;
        let [before, found] =
            [current, &loaded].map(|loaded| loaded.file.model().version().unwrap_or_default());
        if found < before && !self.allow_downgrade {
            return Err(Failure::run(format_args!(
                "{}: the model has version {found}, expected at least {before}, that of the model in use; \
                 --allow-downgrade permits it",
                loaded.file.path().display()
            )));
        }
        Ok((loaded, models))
    }

    fn detectors_of(&self, file: &ModelFile) -> Result<Vec<Model>, Failure> {
        let options = &self.options;
        if options.truncate || !options.without.is_empty() || options.min_score.is_some() {
            return Err(Failure::run(format_args!(
                "{}: is a model for replaced-token detection, expected a classifier for --truncate, --without \
                 and --min-score",
                file.path().display()
            )));
        }
        let mut options = self.options.engine.clone();
        // A detector runs one text at a time.
        options.max_sequences = None;
        let detector = || Ok(Model::Detector(Box::new(Detector::new(file, &options)?)));
        (0..self.workers).map(|_| detector()).collect()
    }
}

#[cfg(any(feature = "http", feature = "mqtt"))]
impl Loaded {
    #[cfg(feature = "http")]
    pub(crate) fn head(&self) -> HeadKind {
        self.file.model().config().head
    }

    /// Returns the name that the model file contains, or the name of the file.
    pub(crate) fn name(&self) -> String {
        let name = self.file.model().metadata_value("name");
        name.map_or_else(|| self.file.path().display().to_string(), str::to_owned)
    }

    /// Returns the checksum of the model file in hexadecimal, which identifies its version.
    #[cfg(feature = "http")]
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:08x}", self.file.model().fingerprint())
    }
}

impl Model {
    /// Classifies texts. Long texts are cut if `truncate` is set.
    pub(crate) fn classify(
        &mut self,
        texts: &[&str],
        truncate: bool,
    ) -> Vec<Result<Classification, Refusal>> {
        match self {
            Self::Classifier(classifier) => {
                classifier.set_truncate(truncate);
                classifier.classify_all(texts).into_iter().map(|answer| answer.map_err(refusal)).collect()
            }
            Self::Detector(_) => {
                texts.iter().map(|_| Err(Refusal::Run("the model is no classifier".to_owned()))).collect()
            }
        }
    }

    /// Judges the tokens of a text.
    pub(crate) fn detect(&mut self, text: &str) -> Result<Detection, Refusal> {
        match self {
            Self::Detector(detector) => detector.detect(text).map_err(refusal),
            Self::Classifier(_) => Err(Refusal::Run("the model is a classifier".to_owned())),
        }
    }
}

fn refusal(error: electra::Error) -> Refusal {
    Refusal::Run(one_line(&error.to_string()))
}
