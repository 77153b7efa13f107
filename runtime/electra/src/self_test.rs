//! Test of a model and of the machine that runs it.

use crate::engine::{Engine, EngineOptions};
use crate::error::Error;
use crate::model_file::ModelFile;

/// Runs the golden sentences of a model file and compares their logits, bit for bit, with those in
/// the file. Returns the number of sentences.
///
/// A difference means that the file was packed wrongly, or that memory, processor or code are
/// damaged. The options must allow the longest of the sentences.
///
/// ```no_run
/// # fn main() -> Result<(), electra::Error> {
/// let file = electra::ModelFile::open("model.electra")?;
/// let sentences = electra::self_test(&file, &electra::EngineOptions::new())?;
/// println!("{sentences} sentences have the expected logits");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the file has no golden sentences, when a logit differs, when a run fails, or when the
/// engine cannot be made.
pub fn self_test(file: &ModelFile, options: &EngineOptions) -> Result<usize, Error> {
    let model = file.model();
    let longest = model.config().max_position_embeddings;
    let mut ids = vec![0; options.max_tokens.unwrap_or(longest).min(longest)];
    let mut engine = None;
    let mut sentences = 0;
    for golden in model.golden() {
        let encoding = file.tokenizer().encode(golden.text, &mut ids).map_err(Error::Text)?;
        if encoding.truncated {
            return Err(Error::GoldenTooLong { path: file.path().to_path_buf(), max_tokens: ids.len() });
        }
        let engine = match &mut engine {
            Some(engine) => engine,
            None => engine.insert(Engine::new(file, options)?),
        };
        sentences += 1;
        let logits = engine.run(&ids[..encoding.len])?;
        golden.check(logits).map_err(|source| Error::Golden {
            path: file.path().to_path_buf(),
            sentence: sentences,
            source,
        })?;
    }
    match sentences {
        0 => Err(Error::NoGolden { path: file.path().to_path_buf() }),
        _ => Ok(sentences),
    }
}
