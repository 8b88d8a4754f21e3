"""Read and write the parts of an ONNX file that a guest needs, without the ``onnx`` package.

An ONNX file is one protobuf message, ``ModelProto`` (onnx.proto3, github.com/onnx/onnx). Protobuf lets a field be appended to a
message, so that a card is added without touching the network (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

from photochrom.errors import ModelError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""
METADATA, KEY, VALUE = 14, 1, 2
"""Fields: ``ModelProto.metadata_props``, and the two of a ``StringStringEntryProto``."""
EXTERNAL_DATA, TENSOR_NAME = 13, 8
"""Fields of ``TensorProto``."""
OPERATOR, DOMAIN = 4, 7
"""Fields of ``NodeProto``."""
FUNCTION_DOMAIN = 10
"""Field of ``FunctionProto``."""

PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 6: "graph", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""The messages inside each message, by the number of their field, as far as nodes and tensors lie in them."""

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains of the operators that ONNX Runtime has by itself."""


def metadata(data: bytes | mmap) -> dict[str, str]:
    """Read the metadata of an ONNX file; raises ValueError where its outermost message is damaged."""
    fields = _fields(memoryview(data))
    return dict(_entry(value) for number, value, _ in fields if number == METADATA and isinstance(value, memoryview))


def with_metadata(data: bytes | mmap, key: str, value: str) -> Iterator[bytes | memoryview]:
    """Cut a file into pieces that, put together, are the same file with one entry of its metadata set.

    Raises:
        ValueError: the file is damaged.
    """
    whole = memoryview(data)
    for number, content, span in _fields(whole):
        if not (number == METADATA and isinstance(content, memoryview) and _entry(content)[0] == key):
            yield whole[span]
    yield field(METADATA, field(KEY, key.encode()) + field(VALUE, value.encode()))


def check(data: bytes | mmap, source: str) -> None:
    """Refuse a file that needs more than itself and ONNX Runtime's own operators.

    Args:
        data: the file.
        source: its name, for messages.

    Raises:
        ModelError: it is damaged, keeps weights in other files, or uses operators of other libraries.
    """
    try:
        parts = list(_walk("model", memoryview(data)))
        defined = {_text(part, FUNCTION_DOMAIN) for kind, part in parts if kind == "function"}
        for kind, part in parts:
            if kind == "tensor" and (entries := [value for number, value, _ in _fields(part) if number == EXTERNAL_DATA]):
                location = dict(_entry(entry) for entry in entries if isinstance(entry, memoryview)).get("location", "?")
                raise ModelError(
                    f"the model '{source}' keeps weights in another file ('{location}'): "
                    "save it as one file (onnx.save with save_as_external_data=False)"
                )
            if kind == "node" and (domain := _text(part, DOMAIN)) not in DOMAINS | defined:
                raise ModelError(
                    f"the model '{source}' uses the operator '{_text(part, OPERATOR)}' of '{domain}', "
                    "which is not one of ONNX Runtime's own: convert it without custom operators"
                )
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the model '{source}' is no ONNX file, or is damaged: export it again") from error


def tensor_names(data: bytes | mmap) -> frozenset[str]:
    """List the names of a file's weights; raises ValueError where it is damaged."""
    return frozenset(_text(part, TENSOR_NAME) for kind, part in _walk("model", memoryview(data)) if kind == "tensor")


def field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes: its number and wire type, its length, its content."""
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encode an integer of 0 or more, seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, slice]]:
    """List the number, the value and the place of each field of a message; raises ValueError where it is damaged."""
    place = 0
    while place < len(message):
        start = place
        tag, place = _integer(message, place)
        number, wire = tag >> 3, tag & 7
        value: int | memoryview
        if wire == VARINT:
            value, place = _integer(message, place)
        elif wire in (FIXED64, FIXED32, BYTES):
            length = {FIXED64: 8, FIXED32: 4}.get(wire)
            if length is None:
                length, place = _integer(message, place)
            value, place = message[place : place + length], place + length
        else:
            raise ValueError(f"wire type {wire}")
        if place > len(message):
            raise ValueError("a field ends after its message")
        yield number, value, slice(start, place)


def _integer(message: memoryview, place: int) -> tuple[int, int]:
    """Decode an integer, and tell where it ends."""
    number = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise ValueError("an integer has no end")


def _walk(kind: str, message: memoryview) -> Iterator[tuple[str, memoryview]]:
    """List a message and all messages inside of it that may hold nodes or tensors."""
    yield kind, message
    inside = PARTS[kind]
    if inside:
        for number, value, _ in _fields(message):
            if number in inside and isinstance(value, memoryview):
                yield from _walk(inside[number], value)


def _text(message: memoryview, number: int) -> str:
    """Read a text field; an empty text where there is no such field."""
    found = [value for own, value, _ in _fields(message) if own == number and isinstance(value, memoryview)]
    return bytes(found[-1]).decode() if found else ""


def _entry(message: memoryview) -> tuple[str, str]:
    return _text(message, KEY), _text(message, VALUE)
