"""Makes the models of this folder anew, with the package onnx 1.23.2: `python3 generate.py`."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent


def model():
    """A linear layer; a branch with graphs of its own; a function; metadata; values in each kind of field."""
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "weight")
    bias = helper.make_tensor("bias", TensorProto.FLOAT, [4], [0.5, -0.5, 1, 2])
    half = helper.make_tensor("half", TensorProto.FLOAT16, [2], [0.5, 2])
    packed = helper.make_tensor("packed", TensorProto.INT4, [3], [1, -2, 7])
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"yes", b"no"])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 4])
    none = helper.make_tensor("none", TensorProto.DOUBLE, [0], [])
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def branch(name, operator):
        node = helper.make_node(operator, ["doubled"], [f"{name}_out"])
        return helper.make_graph([node], name, [], [value(f"{name}_out", ["batch", 4])])

    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Twice", ["sum"], ["doubled"], domain="example"),
        helper.make_node("Constant", [], ["positive"], value=flag),
        helper.make_node("If", ["positive"], ["chosen"], then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg")),
        helper.make_node("Reshape", ["chosen", "shape"], ["y"], allowzero=0),
    ]
    graph = helper.make_graph(nodes, "small", [value("x", ["batch", 3])], [value("y", ["batch", 4])],
                              initializer=[weight, bias, half, packed, words, shape, none])  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("example", 1)]
    twice = helper.make_function("example", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                 [helper.make_opsetid("", 21)])  # fmt: skip
    made = helper.make_model(graph, opset_imports=opsets, functions=[twice], producer_name="generate.py", ir_version=10)
    helper.set_model_props(made, {"purpose": "a vector"})
    onnx.checker.check_model(made, full_check=True)
    return made


onnx.save(model(), HERE / "inside" / "model.onnx")
onnx.save(model(), HERE / "beside" / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=16)
