"""Split an XMP packet that is too large for one segment of a JPEG (XMP Specification, part 3, 1.1.3.1).

The description that was added last stays, and names all others by their MD5; those go to segments of their own, each with its
place in the whole. A packet that was split already is put together with its other part first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from photochrom import jpeg
from photochrom.errors import OutputError

if TYPE_CHECKING:
    from xml.dom import minidom

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE = "http://ns.adobe.com/xmp/note/"
BEGIN, END = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>', b'<?xpacket end="w"?>'
HEAD = len(jpeg.EXTENDED_XMP) + 32 + 8
"""Bytes of a segment before its part of the whole: what it is, the MD5, the whole's length, and the part's place in it."""


def split(xmp: bytes, extras: Sequence[jpeg.Segment]) -> tuple[bytes, tuple[jpeg.Segment, ...]]:
    """Split a packet that does not fit into a segment.

    Args:
        xmp: the packet.
        extras: the file's other segments, with those of an extended packet where it has one.

    Returns:
        The packet that fits, and the segments with the rest in the place of the former ones. A packet that fits already is
        given back as it is.

    Raises:
        OutputError: it cannot be parsed, or its last description alone is too large.
    """
    limit = jpeg.PAYLOAD - len(jpeg.XMP)
    if len(xmp) <= limit:
        return xmp, tuple(extras)
    from xml.dom import minidom  # here, since few photographs need it
    from xml.parsers.expat import ExpatError

    try:
        packet = minidom.parseString(xmp.strip(b"\0 \t\r\n"))
        *others, last = _descriptions(packet)
        marked = [item.getAttributeNodeNS(NOTE, "HasExtendedXMP") for item in (*others, last)]
        known = next((mark.value for mark in marked if mark), "")
        for item, mark in zip((*others, last), marked, strict=True):
            if mark:
                item.removeAttributeNode(mark)
        rest = [*others, *(_descriptions(minidom.parseString(_whole(extras, known))) if known else [])]
    except (ExpatError, ValueError) as error:
        got = f"{len(xmp)} bytes of XMP do not fit into JPEG, which holds {limit}, and cannot be split ({error})"
        raise OutputError(f"{got}; choose PNG or TIFF") from error
    whole = _rdf(rest)
    digest = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()
    last.setAttribute("xmlns:xmpNote", NOTE)
    last.setAttribute("xmpNote:HasExtendedXMP", digest)
    main = b"\n".join([BEGIN, _rdf([last]), END])
    if len(main) > limit:
        raise OutputError(
            f"{len(main)} bytes of XMP in one description do not fit into JPEG, which holds {limit}; choose PNG or TIFF"
        )
    step = jpeg.PAYLOAD - HEAD
    pieces = [
        jpeg.EXTENDED_XMP + digest.encode() + len(whole).to_bytes(4) + start.to_bytes(4) + whole[start : start + step]
        for start in range(0, len(whole), step)
    ]
    kept = [extra for extra in extras if not extra[1].startswith(jpeg.EXTENDED_XMP)]
    return main, (*((jpeg.APP1, piece) for piece in pieces), *kept)


def _whole(extras: Sequence[jpeg.Segment], digest: str) -> bytes:
    """Put the parts of an extended packet together; raises ValueError where one is missing."""
    head = jpeg.EXTENDED_XMP + digest.encode()
    parts = sorted((payload[HEAD - 4 : HEAD], payload[HEAD:]) for _, payload in extras if payload.startswith(head))
    whole = b"".join(part for _, part in parts)
    if hashlib.md5(whole, usedforsecurity=False).hexdigest().upper() != digest.upper():
        raise ValueError("its other part is damaged")
    return whole


def _descriptions(document: minidom.Document) -> list[Any]:
    rdf = document.getElementsByTagNameNS(RDF, "RDF")
    found = [node for node in rdf[0].childNodes if node.nodeType == node.ELEMENT_NODE] if rdf else []
    if not found:
        raise ValueError("it describes nothing")
    return found


def _rdf(descriptions: Sequence[Any]) -> bytes:
    """Write descriptions as a document, with the namespaces that their own documents declare further up."""
    names = {
        name: value
        for item in descriptions
        for above in (item.parentNode, item.parentNode.parentNode)
        for name, value in above.attributes.items()
        if name.startswith("xmlns:") and name not in ("xmlns:x", "xmlns:rdf")
    }
    spaces = "".join(f' {name}="{value}"' for name, value in names.items())
    body = "\n".join(item.toxml() for item in descriptions)
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"{spaces}>\n{body}\n</rdf:RDF></x:xmpmeta>'.encode()
