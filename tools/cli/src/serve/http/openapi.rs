//! The description of the door for programs: OpenAPI 3.1.

use serde_json::Value;

const DESCRIPTION: &str = include_str!("openapi.json");

/// Returns the description with the version of this executable and the largest number of texts.
pub(super) fn description(texts: usize) -> Value {
    // A test parses the file.
    let mut description: Value = serde_json::from_str(DESCRIPTION).unwrap_or_default();
    description["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for inputs in ["Inputs", "PredictInputs"] {
        description["components"]["schemas"][inputs]["anyOf"][1]["maxItems"] = texts.into();
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_the_limits() {
        assert!(serde_json::from_str::<Value>(DESCRIPTION).is_ok());
        let description = description(7);
        assert_eq!(description["openapi"], "3.1.0");
        for inputs in ["Inputs", "PredictInputs"] {
            let list = &description["components"]["schemas"][inputs]["anyOf"][1];
            assert_eq!((&list["type"], &list["maxItems"]), (&"array".into(), &7.into()), "{inputs}");
        }
    }
}
