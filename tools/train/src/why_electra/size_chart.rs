//! Plot and table of classifiers of different sizes.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::chart::{Chart, Point, Series};
use crate::error::{Error, Result};

/// Content of the file that [`plot_sizes`] reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    model: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    /// Size of the weights.
    bytes: u64,
    /// Accuracy on SST-2 dev, in percent.
    accuracy: f64,
    origin: Origin,
    /// Source of the figures.
    source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Measured,
    Published,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured here",
            Self::Published => "published",
        }
    }
}

/// Plots accuracy over the size of the weights into the file `svg`, and returns the same data as a
/// Markdown table with sources.
///
/// `file` is TOML. Every model has a `[[model]]` with `name`, `bytes`, `accuracy` (percent),
/// `origin` (`measured` or `published`) and `source`.
pub fn plot_sizes(file: &Path, svg: &Path) -> Result<String> {
    let models = read(file)?;
    let series = [Origin::Measured, Origin::Published].into_iter().map(|origin| Series {
        name: origin.name().to_owned(),
        points: models.iter().filter(|model| model.origin == origin).map(point).collect(),
        connected: false,
    });
    let chart = Chart {
        x_title: "weights, MB",
        y_title: "accuracy on SST-2 dev, %",
        x_tick: |megabytes| megabytes.to_string(),
        series: series.filter(|series| !series.points.is_empty()).collect(),
    };
    chart.write(svg)?;
    Ok(table(&models))
}

fn point(model: &Model) -> Point {
    Point { x: megabytes(model), y: model.accuracy, bar: None, label: model.name.clone() }
}

fn megabytes(model: &Model) -> f64 {
    model.bytes as f64 / 1e6
}

fn read(file: &Path) -> Result<Vec<Model>> {
    let text = fs::read_to_string(file).map_err(Error::read(file))?;
    let refuse =
        |error: toml::de::Error| Error::field(file, "model", error.message(), "tables as documented");
    let models = toml::from_str::<Models>(&text).map_err(refuse)?.model;
    if models.is_empty() {
        return Err(Error::field(file, "model", "none", "at least one"));
    }
    for model in &models {
        if model.bytes == 0 {
            return Err(Error::field(file, format!("bytes of {}", model.name), "0", "at least 1"));
        }
        if !(0.0..=100.0).contains(&model.accuracy) {
            let found = model.accuracy.to_string();
            return Err(Error::field(file, format!("accuracy of {}", model.name), found, "0 to 100"));
        }
    }
    Ok(models)
}

fn table(models: &[Model]) -> String {
    let mut text =
        "| model | weights, MB | accuracy on SST-2 dev | | source |\n|---|---|---|---|---|\n".to_owned();
    for model in models {
        let Model { name, accuracy, origin, source, .. } = model;
        let (megabytes, origin) = (megabytes(model), origin.name());
        // Writing into memory does not fail.
        let _ = writeln!(text, "| {name} | {megabytes:.1} | {accuracy} % | {origin} | {source} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[[model]]\nname = \"small\"\nbytes = 14_400_000\naccuracy = 88.4\norigin = \"measured\"\n\
                         source = \"ours\"\n";

    #[test]
    fn every_model_is_in_the_picture_and_in_the_table() {
        let root = tempfile::tempdir().unwrap();
        let (file, svg) = (root.path().join("beside.toml"), root.path().join("beside.svg"));
        let large = SMALL.replace("small", "large").replace("14_400_000", "440_000_000");
        fs::write(&file, format!("{SMALL}{}", large.replace("measured", "published"))).unwrap();
        let table = plot_sizes(&file, &svg).unwrap();
        assert!(table.contains("| small | 14.4 | 88.4 % | measured here | ours |\n"), "{table}");
        let text = fs::read_to_string(&svg).unwrap();
        for part in ["small", "large", "measured here", "published", "\n10\n", "\n500\n"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn bad_rows_are_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("beside.toml");
        let refused = |text: String| {
            fs::write(&file, text).unwrap();
            plot_sizes(&file, &root.path().join("beside.svg")).unwrap_err().to_string()
        };
        let error = refused(SMALL.replace("88.4", "188.4"));
        assert!(error.contains("beside.toml: accuracy of small: found 188.4, expected 0 to 100"), "{error}");
        assert!(refused(SMALL.replace("14_400_000", "0")).contains("bytes of small: found 0"));
        assert!(refused(SMALL.replace("origin", "orgin")).contains("unknown field `orgin`"));
        assert!(refused("model = []".to_owned()).contains("model: found none, expected at least one"));
    }
}
