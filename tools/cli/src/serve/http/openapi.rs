//! The description of the door for programs: OpenAPI 3.1.

use serde_json::Value;

const DESCRIPTION: &str = include_str!("openapi.json");

/// Returns the description with the version of this executable.
pub(super) fn description() -> Value {
    // A test parses the file.
    let mut description: Value = serde_json::from_str(DESCRIPTION).unwrap_or_default();
    description["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_json() {
        assert_eq!(serde_json::from_str::<Value>(DESCRIPTION).expect("JSON")["openapi"], "3.1.0");
    }
}
