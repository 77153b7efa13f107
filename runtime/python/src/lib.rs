//! The Python module `electra_edge._native`. The package `electra_edge` re-exports it, and
//! `_native.pyi` documents it.
//!
//! The module converts arguments, results and errors. All work is done by the crates `electra` and
//! `electra-pack`.
#![deny(unsafe_code)]
// Only Python calls the module; its stubs have the documentation.
#![allow(missing_docs)]

mod arrow;
mod batch;
mod classifier;
mod detector;
mod errors;
mod footprint;
mod options;
mod pack;
mod pool;
mod texts;
mod tokenizer;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::arrow::ArrowAnswers;
    #[pymodule_export]
    use crate::classifier::{Classification, Classifier};
    #[pymodule_export]
    use crate::detector::{Detection, Detector, TokenVerdict};
    #[pymodule_export]
    use crate::errors::ModelError;
    #[pymodule_export]
    use crate::footprint::footprint;
    #[pymodule_export]
    use crate::pack::pack;
    #[pymodule_export]
    use crate::tokenizer::{Token, Tokenizer};

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let engines = electra::EngineKind::ALL.iter().map(|kind| kind.name());
        module.add("ENGINES", PyTuple::new(module.py(), engines)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
