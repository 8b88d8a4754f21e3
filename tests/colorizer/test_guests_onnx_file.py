"""The bytes of an ONNX file: what is read and appended without the onnx package is what that package sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from photochrom.colorizer.guests import onnx_file
from photochrom.errors import ModelError
from tests.support import guests


def parsed(content: bytes) -> onnx.ModelProto:
    return onnx.load_model_from_string(content)


def model(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], *, functions: Any = (), domains: tuple[str, ...] = ("",)
) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [value], [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])], weights)
    return helper.make_model(graph, functions=functions, opset_imports=[helper.make_opsetid(name, 17) for name in domains])


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1), st.text(), st.text())
def test_an_entry_is_what_protobuf_reads(key: str, value: str, later: str) -> None:
    plain = guests.ddcolor().content
    once = b"".join(onnx_file.with_metadata(plain, key, value))
    twice = b"".join(onnx_file.with_metadata(once, key, later))
    assert onnx_file.metadata(plain) == {}
    for content, expected in ((once, value), (twice, later)):
        assert [(entry.key, entry.value) for entry in parsed(content).metadata_props] == [(key, expected)]
        assert onnx_file.metadata(content) == {key: expected}
    bare = parsed(twice)
    del bare.metadata_props[:]
    assert bare == parsed(plain), "nothing else of the file has changed"


def test_other_entries_stay() -> None:
    made = parsed(guests.ddcolor().content)
    helper.set_model_props(made, {"author": "somebody", "photochrom": "old", "url": "https://example.org"})
    content = b"".join(onnx_file.with_metadata(made.SerializeToString(), "photochrom", "new"))
    assert onnx_file.metadata(content) == {"author": "somebody", "url": "https://example.org", "photochrom": "new"}


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_lengths_around_each_byte_of_a_varint(length: int) -> None:
    content = b"".join(onnx_file.with_metadata(guests.ddcolor().content, "k", "v" * length))
    (entry,) = parsed(content).metadata_props
    assert entry.value == "v" * length


def test_names_of_weights() -> None:
    assert onnx_file.tensor_names(guests.zhang().content) == {"model8.6.weight", "bias", "least", "most"}


def external(name: str = "weights.bin") -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=name)
    return tensor


def constant(tensor: onnx.TensorProto, output: str = "w") -> onnx.NodeProto:
    return helper.make_node("Constant", [], [output], value=tensor)


ADD = helper.make_node("Add", ["x", "w"], ["y"])


def branching(inner: onnx.NodeProto) -> onnx.NodeProto:
    branch = helper.make_graph([inner], "b", [], [helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [1])])
    return helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


@pytest.mark.parametrize(
    "made",
    [
        model([ADD], [external()]),
        model([constant(external()), ADD], []),
        model([branching(constant(external()))], []),
    ],
    ids=["initializer", "constant", "in a branch"],
)
def test_weights_in_other_files_are_refused(made: onnx.ModelProto) -> None:
    with pytest.raises(
        ModelError, match=r"'theirs\.onnx' keeps weights in another file \('weights\.bin'\): save it as one file"
    ):
        onnx_file.check(made.SerializeToString(), "theirs.onnx")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Evil", ["x"], ["y"], domain="com.example"),
        branching(helper.make_node("Evil", [], ["w"], domain="com.example")),
    ],
    ids=["node", "in a branch"],
)
def test_operators_of_others_are_refused(node: onnx.NodeProto) -> None:
    made = model([node], [], domains=("", "com.example"))
    with pytest.raises(ModelError, match=r"uses the operator 'Evil' of 'com\.example', which is not one of ONNX Runtime's own"):
        onnx_file.check(made.SerializeToString(), "theirs.onnx")


def test_functions_of_the_file_itself_are_taken_and_looked_into() -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1), helper.make_opsetid("com.example", 1)]
    weight = numpy_helper.from_array(np.ones(1, np.float32), "w")
    for inner, fine in ((ADD, True), (helper.make_node("Evil", ["x", "w"], ["y"], domain="com.example"), False)):
        function = helper.make_function("mine", "Own", ["x", "w"], ["y"], [inner], opsets)
        call = helper.make_node("Own", ["x", "w"], ["y"], domain="mine")
        content = model([call], [weight], functions=[function], domains=("", "mine")).SerializeToString()
        if fine:
            onnx_file.check(content, "theirs.onnx")
        else:
            with pytest.raises(ModelError, match="the operator 'Evil'"):
                onnx_file.check(content, "theirs.onnx")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_goes_unseen_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(guests.zhang().content)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        onnx_file.check(bytes(content), "theirs.onnx")
    except ModelError as error:
        assert "\n" not in str(error)
