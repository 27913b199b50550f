"""Graphs as ONNX files: the one place that needs the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from bptt.atomic import write_atomic
from bptt.errors import InvalidType, LibraryMissing
from bptt.interop.onnx_graph import Graph, Value

# Of 2022: runtimes of the last years read them.
OPSET, IR_VERSION = 17, 8


def write_model(graph: Graph, path: str | os.PathLike[str]) -> Path:
    """Write a graph, checked by the library, and return where."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidType(f"path must be text or a path. Got {path!r}")
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ModuleNotFoundError:
        raise LibraryMissing("to_onnx needs the library onnx. Got none: pip install 'bptt[onnx]'") from None

    def values(found: list[Value]) -> list[Any]:
        return [
            helper.make_tensor_value_info(
                value.name, helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)), list(value.shape)
            )
            for value in found
        ]

    def make(part: Graph, name: str) -> Any:
        nodes = [
            helper.make_node(
                node.op,
                list(node.inputs),
                list(node.outputs),
                **{
                    key: make(value, f"{name}_body") if isinstance(value, Graph) else value
                    for key, value in node.attributes.items()
                },
            )
            for node in part.nodes
        ]
        constants = [numpy_helper.from_array(array, key) for key, array in part.constants.items()]
        return helper.make_graph(nodes, name, values(part.inputs), values(part.outputs), constants)

    model = helper.make_model(
        make(graph, "bptt"),
        producer_name="bptt",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())
    return Path(os.fsdecode(path))
