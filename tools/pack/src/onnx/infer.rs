//! Infers sizes and constants of the model from its graph.

use std::path::Path;

use super::graph::attribute;
use super::tensor::{Constant, Values};
use super::weights::Weights;
use crate::checkpoint::{Config, Head};
use crate::error::Error;

/// Infers the configuration of a graph that has no `config.json`.
pub(super) fn infer(weights: &Weights) -> Result<Config, Error> {
    let file = weights.graph.file;
    let matrix = |name: &str| {
        let tensor = weights.embedding(&format!("electra.embeddings.{name}.weight"))?;
        match tensor.as_ref().map(|tensor| tensor.shape.as_slice()) {
            Some(&[rows, width]) => Ok((rows, width)),
            Some(other) => Err(Error::field(file, name, format!("shape {other:?}"), "two dimensions")),
            None => Err(Error::field(file, name, "nothing", "embeddings; or a config.json beside the model")),
        }
    };
    let (vocab_size, embedding_size) = matrix("word_embeddings")?;
    let (max_position_embeddings, _) = matrix("position_embeddings")?;
    let (type_vocab_size, _) = matrix("token_type_embeddings")?;
    let outputs = |module: &str| Ok::<_, Error>(weights.linear(module)?.map(|linear| linear.bias.data.len()));
    let required = |module: &str| {
        outputs(module)?.ok_or_else(|| Error::field(file, module, "nothing", "a linear layer of ELECTRA"))
    };
    let hidden_size = required("electra.encoder.layer.0.attention.output.dense")?;
    let intermediate_size = required("electra.encoder.layer.0.intermediate.dense")?;
    let mut num_hidden_layers = 1;
    while outputs(&format!("electra.encoder.layer.{num_hidden_layers}.output.dense"))?.is_some() {
        num_hidden_layers += 1;
    }
    let head = match (outputs("classifier.out_proj")?, outputs("discriminator_predictions.dense_prediction")?)
    {
        (Some(labels), None) => {
            Head::Classification { labels: (0..labels).map(|id| format!("LABEL_{id}")).collect() }
        }
        (None, Some(_)) => Head::ReplacedTokenDetection,
        (found, _) => {
            let found = if found.is_some() { "both" } else { "neither" };
            let field = "classifier.out_proj, discriminator_predictions.dense_prediction";
            let expected = "one: ElectraForSequenceClassification or ElectraForPreTraining";
            return Err(Error::field(file, field, found, expected));
        }
    };
    let Some(num_attention_heads) = heads(weights, hidden_size)? else {
        let expected = "num_attention_heads in a config.json beside the model: the graph does not show it";
        return Err(Error::field(
            file,
            "attention heads",
            "no constant in the shape of the queries",
            expected,
        ));
    };
    let Some(Epsilon { value: layer_norm_eps, .. }) = epsilon(weights)? else {
        let expected = "layer_norm_eps in a config.json beside the model: the graph does not show it";
        return Err(Error::field(file, "LayerNorm epsilon", "no such constant", expected));
    };
    let config = Config {
        vocab_size,
        embedding_size,
        hidden_size,
        num_hidden_layers,
        num_attention_heads,
        intermediate_size,
        max_position_embeddings,
        type_vocab_size,
        layer_norm_eps,
        head,
    };
    config.check(file)?;
    check_activations(weights, &config)?;
    Ok(config)
}

/// Refuses a `config.json` that contradicts the graph in settings that shapes do not show.
pub(super) fn check(weights: &Weights, config: &Config, config_file: &Path) -> Result<(), Error> {
    if let Some(found) = heads(weights, config.hidden_size)?
        && found != config.num_attention_heads
    {
        let expected = format!("{found}, according to the shape of the queries in the graph");
        return Err(Error::field(
            config_file,
            "num_attention_heads",
            config.num_attention_heads.to_string(),
            expected,
        ));
    }
    // Converters to f16 raise the usual 1e-12 to a value that f16 can represent. Only an epsilon in
    // f32 is therefore that of the model.
    if let Some(Epsilon { value, exact: true }) = epsilon(weights)?
        && value != config.layer_norm_eps
    {
        let expected = format!("{value:?}, as in the graph");
        return Err(Error::field(
            config_file,
            "layer_norm_eps",
            format!("{:?}", config.layer_norm_eps),
            expected,
        ));
    }
    check_activations(weights, config)
}

/// Refuses graphs that do not use the exact GELU once per layer and once in the head.
fn check_activations(weights: &Weights, config: &Config) -> Result<(), Error> {
    let file = weights.graph.file;
    let approximate = |attribute: &[u8]| !matches!(attribute, b"" | b"none");
    let mut exact = 0;
    for node in weights.graph.nodes {
        match node.op_type.as_str() {
            "Gelu" if attribute(node, "approximate").is_some_and(|attribute| approximate(&attribute.s)) => {}
            "Gelu" | "Erf" => exact += 1,
            _ => {}
        }
    }
    let wanted = config.num_hidden_layers + 1;
    if exact != wanted {
        let expected = format!("{wanted}, one in each layer and one in the head (hidden_act gelu)");
        return Err(Error::field(file, "activations", format!("{exact} Erf or exact Gelu"), expected));
    }
    Ok(())
}

/// Returns the number of attention heads. It is read from the shape into which the queries of the
/// first layer are reshaped: `[batch, length, heads, width of a head]`. One of the last two sizes
/// may be -1.
fn heads(weights: &Weights, hidden_size: usize) -> Result<Option<usize>, Error> {
    let Some(query) = weights.linear("electra.encoder.layer.0.attention.self.query")? else {
        return Ok(None);
    };
    let Some(output) = query.node.output.first() else {
        return Ok(None);
    };
    let reshapes = weights.graph.effective_consumers(output);
    let shape = reshapes.iter().find(|node| node.op_type == "Reshape").and_then(|node| node.input.get(1));
    let Some(shape) = shape else { return Ok(None) };
    let positive =
        |size: &Option<i64>| size.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0);
    Ok(match weights.graph.integers(shape)?.as_slice() {
        [_, _, heads, width] => positive(heads).or_else(|| {
            positive(width)
                .filter(|&width| hidden_size.is_multiple_of(width))
                .map(|width| hidden_size / width)
        }),
        _ => None,
    })
}

/// LayerNorm epsilon of a graph.
struct Epsilon {
    value: f32,
    /// Whether the value is stored in f32.
    exact: bool,
}

/// Returns the epsilon of `LayerNormalization`, or of the form that older operator sets use
/// instead: `Sqrt(Add(variance, epsilon))`.
fn epsilon(weights: &Weights) -> Result<Option<Epsilon>, Error> {
    let graph = weights.graph;
    let mut found: Option<Epsilon> = None;
    for node in graph.nodes {
        let epsilon = match node.op_type.as_str() {
            // 1e-5 is the default of the operator.
            "LayerNormalization" => {
                let value = attribute(node, "epsilon").map_or(1e-5, |attribute| attribute.f);
                Some(Epsilon { value, exact: true })
            }
            "Sqrt" => match node.input.first().and_then(|input| graph.effective_producer(input)) {
                Some(sum) if sum.op_type == "Add" => scalar_operand(weights, &sum.input)?,
                _ => None,
            },
            _ => None,
        };
        match (&found, &epsilon) {
            (Some(first), Some(other)) if first.value != other.value => {
                let found = format!("{:?} and {:?}", first.value, other.value);
                return Err(Error::field(graph.file, "LayerNorm epsilon", found, "the same in all layers"));
            }
            (None, Some(_)) => found = epsilon,
            _ => {}
        }
    }
    Ok(found)
}

fn scalar_operand(weights: &Weights, operands: &[String]) -> Result<Option<Epsilon>, Error> {
    for operand in operands {
        if let Some(Constant { values: Values::Float(values), single_precision, .. }) =
            weights.graph.decoded(operand)?
            && let [value] = values.as_slice()
        {
            return Ok(Some(Epsilon { value: *value, exact: single_precision }));
        }
    }
    Ok(None)
}
