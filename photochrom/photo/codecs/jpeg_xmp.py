"""Split an XMP packet that is too large for one segment of a JPEG, and join it again (XMP Specification, part 3, 1.1.3.1).

The description that was added last stays, and names all others by their MD5; those go to segments of their own, each with its
place in the whole. A packet that was split already is put together with its other part first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from photochrom.errors import OutputError
from photochrom.photo.codecs import jpeg_segments
from photochrom.photo.metadata.xmp import BEGIN, END, RDF, written

NOTE = "http://ns.adobe.com/xmp/note/"
HEAD = len(jpeg_segments.EXTENDED_XMP) + 32 + 8
"""Bytes of a segment before its part of the whole: what it is, the MD5, the whole's length, and the part's place in it."""


def split(xmp: bytes, extras: Sequence[jpeg_segments.Segment]) -> tuple[bytes, tuple[jpeg_segments.Segment, ...]]:
    """Split a packet that does not fit into a segment.

    Args:
        xmp: the packet.
        extras: the file's other segments, with those of an extended packet where it has one.

    Returns:
        The packet that fits, and the segments with the rest in the place of the former ones. A packet that fits already is
        given back as it is.

    Raises:
        OutputError: it cannot be parsed, or its last description by itself is too large.
    """
    limit = jpeg_segments.PAYLOAD - len(jpeg_segments.XMP)
    if len(xmp) <= limit:
        return xmp, tuple(extras)
    try:
        own, others = _parts(xmp, extras)
    except ValueError as error:
        got = f"{len(xmp)} bytes of XMP do not fit into JPEG, which holds {limit}, and cannot be split ({error})"
        raise OutputError(f"{got}; choose PNG or TIFF") from error
    *first, last = own
    whole = _rdf([*first, *others])
    digest = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()
    last.setAttribute("xmlns:xmpNote", NOTE)
    last.setAttribute("xmpNote:HasExtendedXMP", digest)
    main = b"\n".join([BEGIN, _rdf([last]), END])
    if len(main) > limit:
        raise OutputError(
            f"{len(main)} bytes of XMP in one description do not fit into JPEG, which holds {limit}; choose PNG or TIFF"
        )
    step = jpeg_segments.PAYLOAD - HEAD
    pieces = [
        jpeg_segments.EXTENDED_XMP + digest.encode() + len(whole).to_bytes(4) + start.to_bytes(4) + whole[start : start + step]
        for start in range(0, len(whole), step)
    ]
    kept = [extra for extra in extras if not extra[1].startswith(jpeg_segments.EXTENDED_XMP)]
    return main, (*((jpeg_segments.APP1, piece) for piece in pieces), *kept)


def joined(xmp: bytes, extras: Sequence[jpeg_segments.Segment]) -> bytes:
    """Join a packet that was split, for a format whose packets have any size.

    Args:
        xmp: the packet; one that names no other part is given back as it is.
        extras: the file's other segments.

    Raises:
        ValueError: the other part is missing or damaged.
    """
    if b"HasExtendedXMP" not in xmp:
        return xmp
    own, others = _parts(xmp, extras)
    return b"\n".join([BEGIN, _rdf([*own, *others]), END])


def _parts(xmp: bytes, extras: Sequence[jpeg_segments.Segment]) -> tuple[list[Any], list[Any]]:
    """Parse the descriptions of a packet, without the names of its other part, and the descriptions of that part.

    Raises:
        ValueError: one of the two cannot be parsed, or the other part is missing or damaged.
    """
    own = _descriptions(xmp)
    known = ""
    for item in own:
        if mark := item.getAttributeNodeNS(NOTE, "HasExtendedXMP"):
            known = known or mark.value
            item.removeAttributeNode(mark)
        for child in [child for child in item.childNodes if (child.namespaceURI, child.localName) == (NOTE, "HasExtendedXMP")]:
            known = known or "".join(node.nodeValue or "" for node in child.childNodes)
            item.removeChild(child)
    return own, _descriptions(_whole(extras, known)) if known else []


def _whole(extras: Sequence[jpeg_segments.Segment], digest: str) -> bytes:
    """Join the parts of an extended packet; raises ValueError where one is missing."""
    head = jpeg_segments.EXTENDED_XMP + digest.encode()
    parts = sorted((payload[HEAD - 4 : HEAD], payload[HEAD:]) for _, payload in extras if payload.startswith(head))
    whole = b"".join(part for _, part in parts)
    if hashlib.md5(whole, usedforsecurity=False).hexdigest().upper() != digest.upper():
        raise ValueError("its other part is damaged")
    return whole


def _descriptions(xmp: bytes) -> list[Any]:
    from xml.dom import minidom  # here, since few photographs need it
    from xml.parsers.expat import ExpatError

    if b"<!DOCTYPE" in xmp:
        raise ValueError("XMP has no document type")  # whose entities may grow without bound
    try:
        document = minidom.parseString(xmp.strip(b"\0 \t\r\n"))
        document.toxml()  # which meets the limit of recursion here, where a deep one is refused
    except (ExpatError, RecursionError) as error:
        raise ValueError(str(error)) from error
    rdf = document.getElementsByTagNameNS(RDF, "RDF")
    found = [node for node in rdf[0].childNodes if node.nodeType == node.ELEMENT_NODE] if rdf else []
    if not found:
        raise ValueError("it describes nothing")
    return found


def _rdf(descriptions: Sequence[Any]) -> bytes:
    """Write descriptions as a document, each with the namespaces that its own document declared further up."""
    for item in descriptions:
        for above in (item.parentNode, item.parentNode.parentNode):
            for name in above.attributes.keys() if above.attributes else ():
                if name.startswith("xmlns:") and name not in ("xmlns:x", "xmlns:rdf") and not item.hasAttribute(name):
                    item.setAttribute(name, above.getAttribute(name))
    body = "\n".join(written([item]) for item in descriptions)
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">\n{body}\n</rdf:RDF></x:xmpmeta>'.encode()
