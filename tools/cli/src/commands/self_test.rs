//! `electra self-test`.

use electra::EngineOptions;
use serde_json::json;

use crate::args::{SelfTestArgs, open_model};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &SelfTestArgs) -> Result<(), Failure> {
    let file = open_model(args.file.as_ref())?;
    let options = EngineOptions::new().engine(args.engine.unwrap_or_default());
    let sentences = electra::self_test(&file, &options)?;
    let path = file.path().display().to_string();
    let mut output = Output::new();
    let rendered = match args.print.json {
        true => json!({ "file": path, "engine": options.engine.name(), "sentences": sentences }).to_string(),
        false => format!("{path}: the logits of {sentences} golden sentences have the expected bits"),
    };
    output.line(&rendered, 0)?;
    Ok(output.finish()?)
}
