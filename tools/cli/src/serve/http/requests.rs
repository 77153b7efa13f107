//! The JSON objects of requests, in the shape of TEI and of the inference API.

use std::num::NonZeroUsize;

use serde_json::{Map, Value};

use super::fields::{Fields, Inputs, TextLimits};
use super::problem::Problem;

/// TEI's request for labels.
#[derive(Debug, PartialEq)]
pub(super) struct Predict {
    pub inputs: Inputs,
    pub truncate: Option<bool>,
}

/// The inference API's request for labels.
#[derive(Debug, PartialEq)]
pub(super) struct Classify {
    pub inputs: Inputs,
    pub top_k: Option<NonZeroUsize>,
}

/// TEI's request for tokens.
#[derive(Debug, PartialEq)]
pub(super) struct Tokenize {
    pub inputs: Inputs,
    pub add_special_tokens: bool,
}

impl Predict {
    /// # Errors
    /// Fails if a field is missing, unknown or wrong. So do the other functions here.
    pub(super) fn parse(object: Map<String, Value>, limits: TextLimits) -> Result<Self, Problem> {
        let mut fields = Fields::new(object, limits);
        let inputs = fields.inputs(true)?;
        let truncate = fields.flag("truncate")?;
        if fields.flag("raw_scores")? == Some(true) {
            return Err(Problem::fields(
                "raw_scores: true found, expected false: the model's answers are probabilities, and its logits \
                 are not available",
            ));
        }
        match fields.take("truncation_direction") {
            None => {}
            Some(Value::String(direction)) if direction == "right" || direction == "Right" => {}
            Some(found) => return Err(fields.wrong("truncation_direction", &found, "\"right\"")),
        }
        fields.finish("inputs, truncate, truncation_direction and raw_scores")?;
        Ok(Self { inputs, truncate })
    }
}

impl Classify {
    pub(super) fn parse(object: Map<String, Value>, limits: TextLimits) -> Result<Self, Problem> {
        let mut fields = Fields::new(object, limits);
        let inputs = fields.inputs(false)?;
        // They tell the inference API whether to wait for a model and to use a cache.
        drop(fields.object("options", "options.")?);
        let parameters = fields.object("parameters", "parameters.")?;
        fields.finish("inputs, parameters and options")?;
        let top_k = match parameters {
            Some(parameters) => Self::parse_parameters(parameters)?,
            None => None,
        };
        Ok(Self { inputs, top_k })
    }

    fn parse_parameters(mut parameters: Fields) -> Result<Option<NonZeroUsize>, Problem> {
        let top_k = parameters.count("top_k", "a number of labels, at least 1")?;
        match parameters.take("function_to_apply") {
            None => {}
            Some(Value::String(function)) if function == "softmax" => {}
            Some(found) => return Err(parameters.wrong("function_to_apply", &found, "\"softmax\"")),
        }
        parameters.finish("top_k and function_to_apply")?;
        Ok(top_k)
    }
}

impl Tokenize {
    pub(super) fn parse(object: Map<String, Value>, limits: TextLimits) -> Result<Self, Problem> {
        let mut fields = Fields::new(object, limits);
        let inputs = fields.inputs(false)?;
        let add_special_tokens = fields.flag("add_special_tokens")?.unwrap_or(true);
        fields.finish("inputs and add_special_tokens")?;
        Ok(Self { inputs, add_special_tokens })
    }
}

impl Inputs {
    /// Parses the request for replaced tokens, which has no other field.
    pub(super) fn parse(object: Map<String, Value>, limits: TextLimits) -> Result<Self, Problem> {
        let mut fields = Fields::new(object, limits);
        let inputs = fields.inputs(false)?;
        fields.finish("inputs")?;
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: TextLimits = TextLimits { texts: 3, bytes: 8 };

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    fn refused<T: std::fmt::Debug>(outcome: Result<T, Problem>) -> (u16, String) {
        let problem = outcome.expect_err("a problem");
        (problem.status.as_u16(), problem.body())
    }

    #[test]
    fn texts_alone_and_in_lists() {
        for (inputs, texts, is_list) in [
            (json!("a"), vec!["a"], false),
            (json!(""), vec![""], false),
            (json!(["a"]), vec!["a"], true),
            (json!(["a", "b"]), vec!["a", "b"], true),
            (json!([["a"], "b", ["c"]]), vec!["a", "b", "c"], true),
        ] {
            let predict = Predict::parse(object(json!({ "inputs": inputs, "truncate": null })), LIMITS);
            let predict = predict.expect("a request");
            assert_eq!(
                (predict.inputs.texts, predict.inputs.is_list),
                (texts.iter().map(|t| t.to_string()).collect(), is_list)
            );
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        for (request, status, problem) in [
            (json!({}), 422, "no field inputs"),
            (json!({ "inputs": null }), 422, "no field inputs"),
            (json!({ "inputs": 7 }), 422, "inputs: 7 found, expected a string or a list of strings"),
            (json!({ "inputs": [] }), 422, "an empty list"),
            (json!({ "inputs": [["a", "b"]] }), 422, "inputs[0]: a pair of texts"),
            (json!({ "inputs": ["a", ["b", "c"]] }), 422, "inputs[1]: a pair of texts"),
            (json!({ "inputs": [[]] }), 422, "inputs[0]: an array found"),
            (json!({ "inputs": [[1]] }), 422, "inputs[0][0]: 1 found"),
            (json!({ "inputs": ["a", true] }), 422, "inputs[1]"),
            (json!({ "inputs": ["a", "b", "c", "d"] }), 413, "4 texts found, expected at most 3"),
            (json!({ "inputs": ["a", "123456789"] }), 413, "9 bytes found in text 1, expected at most 8"),
            (json!({ "inputs": "a", "truncate": 1 }), 422, "truncate: 1 found, expected true or false"),
            (json!({ "inputs": "a", "raw_scores": true }), 422, "raw_scores"),
            (json!({ "inputs": "a", "truncation_direction": "left" }), 422, "expected \\\"right\\\""),
            (json!({ "inputs": "a", "truncat": true }), 422, "field \\\"truncat\\\" found"),
        ] {
            let (found, body) = refused(Predict::parse(object(request.clone()), LIMITS));
            assert!(found == status && body.contains(problem), "{request}: {found} {body}");
        }
        for (parameters, problem) in [
            (json!({ "top_k": 0 }), "parameters.top_k: 0 found"),
            (json!({ "top_k": -1 }), "parameters.top_k"),
            (json!({ "top_k": 1.5 }), "parameters.top_k"),
            (json!({ "function_to_apply": "none" }), "parameters.function_to_apply: \\\"none\\\" found"),
            (json!({ "other": 1 }), "parameters.other"),
            (json!([]), "parameters: an array found"),
        ] {
            let request = json!({ "inputs": "a", "parameters": parameters });
            let (status, body) = refused(Classify::parse(object(request), LIMITS));
            assert!(status == 422 && body.contains(problem), "{parameters}: {status} {body}");
        }
        assert_eq!(refused(Classify::parse(object(json!({ "inputs": [["a"]] })), LIMITS)).0, 422);
    }

    #[test]
    fn parameters_of_the_inference_api() {
        let request = json!({
            "inputs": "a",
            "parameters": { "top_k": 2, "function_to_apply": "softmax" },
            "options": { "wait_for_model": true },
        });
        let classify = Classify::parse(object(request), LIMITS).expect("a request");
        assert_eq!(classify.top_k, NonZeroUsize::new(2));
        let request = json!({ "inputs": "a", "parameters": {} });
        assert_eq!(Classify::parse(object(request), LIMITS).expect("a request").top_k, None);
    }
}
