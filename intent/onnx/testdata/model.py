"""Makes the encoder that the tests run: python3 model.py (needs numpy and onnx).

Each token is a fixed random direction, weighed down when it is frequent, and
then goes through a layer, so that the model is small and yet runs what real ones
run. It knows the words of the example's questions, and letters for all others.
"""
import collections
import json
import pathlib
import re

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, MOST = 48, 700
here = pathlib.Path(__file__).parent
lines = (here / "../../../examples/intent-server-python/questions.jsonl").read_text(encoding="utf-8").splitlines()
texts = [json.loads(line)["text"].lower() for line in lines if line.strip()]

count = collections.Counter(w for t in texts for w in re.findall(r"[a-z]+|[\u4e00-\u9fff]|[0-9]+|[^\w\s]", t))
letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + c for c in letters)]
tokens += [w for w, _ in sorted(count.items(), key=lambda x: (-x[1], x[0])) if w not in tokens]
tokens = tokens[:MOST]
(here / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")

draw = numpy.random.default_rng(7)
table = draw.standard_normal((len(tokens), SIZE)).astype(numpy.float32)
for i, t in enumerate(tokens):
    table[i] *= 0.05 if i < 4 or len(t.removeprefix("##")) == 1 and t.isascii() else 1 / (1 + 0.15 * count[t])
layer = (numpy.eye(SIZE) + 0.1 * draw.standard_normal((SIZE, SIZE))).astype(numpy.float32)

ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", SIZE])
graph = helper.make_graph(
    [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("MatMul", ["embedded", "layer"], ["mixed"]),
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["mixed", "column"], ["last_hidden_state"]),
    ],
    "tiny", [ids, mask], [out],
    [numpy_helper.from_array(table, "table"), numpy_helper.from_array(layer, "layer"), numpy_helper.from_array(numpy.array([2]), "last")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
(here / "tiny.onnx").write_bytes(model.SerializeToString())
