"""Builds the ONNX graph of an ELECTRA classifier. It has the operators of BERT-like models in the
order of PyTorch's exporter, so that optimizers find the patterns that they know.

With `cut`, the last layer computes only what a classifier reads, as in electra-edge: keys and
values for all tokens, and everything else for [CLS] alone. No exporter writes such a graph, but a
careful user could."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OPERATOR_SET = 17


class Graph:
    def __init__(self, config, tensors, cut):
        self.config, self.tensors, self.cut = config, tensors, cut
        self.nodes, self.initializers, self.known = [], [], {}

    def constant(self, value, kind):
        key = (str(value), kind)
        if key not in self.known:
            self.known[key] = self.initializer(f"constant_{len(self.known)}", np.array(value, kind))
        return self.known[key]

    def initializer(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def weight(self, name, transposed=False):
        array = self.tensors[name]
        return self.initializer(name, array.T if transposed else array)

    def op(self, kind, *inputs, **attributes):
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{output}_node", **attributes))
        return output

    def linear(self, x, name):
        product = self.op("MatMul", x, self.weight(f"{name}.weight", transposed=True))
        return self.op("Add", self.weight(f"{name}.bias"), product)

    def norm(self, x, name):
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.config["layer_norm_eps"])

    def gelu(self, x):
        erf = self.op("Erf", self.op("Div", x, self.constant(np.sqrt(2.0), np.float32)))
        doubled = self.op("Mul", x, self.op("Add", erf, self.constant(1.0, np.float32)))
        return self.op("Mul", doubled, self.constant(0.5, np.float32))

    def embeddings(self):
        prefix = "electra.embeddings"
        words = self.op("Gather", self.weight(f"{prefix}.word_embeddings.weight"), "input_ids")
        types = self.op("Gather", self.weight(f"{prefix}.token_type_embeddings.weight"), "token_type_ids")
        length = self.op("Gather", self.op("Shape", "input_ids"), self.constant([1], np.int64), axis=0)
        starts, axes = self.constant([0], np.int64), self.constant([0], np.int64)
        table = self.weight(f"{prefix}.position_embeddings.weight")
        positions = self.op("Slice", table, starts, length, axes)
        total = self.op("Add", self.op("Add", words, types), positions)
        return self.linear(self.norm(total, f"{prefix}.LayerNorm"), "electra.embeddings_project")

    def mask(self):
        """Returns 0 for tokens and a very negative number for padding: [batch, 1, 1, tokens]."""
        one, two = self.constant([1], np.int64), self.constant([2], np.int64)
        wide = self.op("Unsqueeze", self.op("Unsqueeze", "attention_mask", one), two)
        inverted = self.op("Sub", self.constant(1.0, np.float32), self.op("Cast", wide, to=TensorProto.FLOAT))
        return self.op("Mul", inverted, self.constant(-10000.0, np.float32))

    def first_row(self, x):
        """Returns the row of [CLS]: [batch, 1, hidden]."""
        starts, ends, axes = (self.constant([value], np.int64) for value in (0, 1, 1))
        return self.op("Slice", x, starts, ends, axes)

    def attention(self, x, rows, mask, prefix):
        """Returns the attention block for `rows`, which attend to all rows of `x`."""
        heads, hidden = self.config["num_attention_heads"], self.config["hidden_size"]
        width = hidden // heads

        def split(source, name, order):
            shape = self.constant([0, 0, heads, width], np.int64)
            return self.op("Transpose", self.op("Reshape", self.linear(source, f"{prefix}.self.{name}"), shape), perm=order)

        query = split(rows, "query", [0, 2, 1, 3])
        key, value = split(x, "key", [0, 2, 3, 1]), split(x, "value", [0, 2, 1, 3])
        scores = self.op("Div", self.op("MatMul", query, key), self.constant(np.sqrt(width), np.float32))
        probabilities = self.op("Softmax", self.op("Add", scores, mask), axis=-1)
        context = self.op("Transpose", self.op("MatMul", probabilities, value), perm=[0, 2, 1, 3])
        joined = self.op("Reshape", context, self.constant([0, 0, hidden], np.int64))
        output = self.op("Add", self.linear(joined, f"{prefix}.output.dense"), rows)
        return self.norm(output, f"{prefix}.output.LayerNorm")

    def feed_forward(self, x, prefix):
        inner = self.gelu(self.linear(x, f"{prefix}.intermediate.dense"))
        output = self.op("Add", self.linear(inner, f"{prefix}.output.dense"), x)
        return self.norm(output, f"{prefix}.output.LayerNorm")

    def build(self):
        x, mask = self.embeddings(), self.mask()
        layers = self.config["num_hidden_layers"]
        for layer in range(layers):
            prefix = f"electra.encoder.layer.{layer}"
            rows = self.first_row(x) if self.cut and layer == layers - 1 else x
            x = self.feed_forward(self.attention(x, rows, mask, f"{prefix}.attention"), prefix)
        first = self.op("Gather", x, self.constant(0, np.int64), axis=1)
        logits = self.linear(self.gelu(self.linear(first, "classifier.dense")), "classifier.out_proj")
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"], name="logits_node"))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
        labels = len(self.config["labels"])
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])]
        graph = helper.make_graph(self.nodes, "electra", inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPERATOR_SET)], ir_version=8)
        onnx.checker.check_model(model)
        return model
