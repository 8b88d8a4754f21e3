"""Read and write XMP packets as text (XMP Specification, part 1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Any

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
BEGIN, END = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>', b'<?xpacket end="w"?>'
MARKS = {"\n": "\ue00a", "\t": "\ue009", "\r": "\ue00d"}
"""Stand for line breaks inside attributes, which a plain line break would not survive."""
ENCODINGS = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
"""Encodings of a packet besides UTF-8, each told by how it writes ``<``."""
DECLARED = re.compile(r"(<\?xml\b[^>]*?)\s+encoding\s*=\s*(?:\"[^\"]*\"|'[^']*')")


def as_utf8(packet: bytes | None) -> bytes | None:
    """Return a packet in UTF-8, which most formats and readers ask for; a packet that is not valid text stays as it is."""
    if not packet:
        return None
    plain = packet
    for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        plain = plain.removeprefix(mark)
    found = next((name for name in ENCODINGS if plain.startswith("<".encode(name))), None)
    if found is None:
        return packet
    try:
        return DECLARED.sub(r"\1", plain.decode(found)).encode("utf-8")
    except UnicodeError:
        return packet


def written(nodes: Sequence[Any]) -> str:
    """Write nodes of a document, with the line breaks inside attributes, which minidom by itself would lose."""
    marks = {ord(breaking): mark for breaking, mark in MARKS.items()}
    for node in nodes:
        for element in (node, *node.getElementsByTagName("*")) if node.nodeType == node.ELEMENT_NODE else ():
            for attribute in element.attributes.values():
                attribute.value = attribute.value.translate(marks)
    text = "".join(node.toxml() for node in nodes)
    for breaking, mark in MARKS.items():
        text = text.replace(mark, f"&#{ord(breaking)};")
    return text
