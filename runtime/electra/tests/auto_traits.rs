//! The public types can be sent to other threads, and shared where that is meant.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::fmt::Debug;

use electra::{
    Answer, Classification, Classifier, ClassifierOptions, Detection, Detector, Engine, EngineOptions, Error,
    LabelScore, ModelFile, TokenVerdict,
};

fn is_send<T: Send + Debug>() {}
fn is_shared<T: Send + Sync + Debug>() {}

#[test]
fn types_are_send_and_sync() {
    is_send::<Classifier>();
    is_send::<Detector>();
    is_send::<Engine>();
    is_shared::<ModelFile>();
    is_shared::<Error>();
    is_shared::<ClassifierOptions>();
    is_shared::<EngineOptions>();
    is_shared::<Classification>();
    is_shared::<LabelScore>();
    is_shared::<Answer<'_>>();
    is_shared::<Detection>();
    is_shared::<TokenVerdict>();
}

#[test]
fn errors_have_their_source() {
    let error = ModelFile::open("no/such/file").expect_err("no file");
    let source = error.source().expect("an error of the system");
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    assert!(error.to_string().ends_with(&source.to_string()), "{error}");

    let error = ModelFile::from_static("a model", b"not a model").expect_err("no model");
    let source = error.source().expect("an error in the file");
    assert!(source.downcast_ref::<electra::ModelError>().is_some());
    assert_eq!(error.to_string(), format!("a model: {source}"));
}
