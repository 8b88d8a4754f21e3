"""Say in a result's XMP that its colors are a machine's guess, and all that is needed to make it again.

The record takes the place of an older one; whatever else a packet holds stays. The source of a result that says it is, say, a
digitized negative is kept too, under a name of ours, since a picture has one digital source type (IPTC Photo Metadata 2023.1).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.hints import Hint
from photochrom.errors import OptionError, PhotoError
from photochrom.photo.formats import FORMATS, Format
from photochrom.photo.metadata.xmp import BEGIN, END, RDF, written
from photochrom.version import __version__

if TYPE_CHECKING:
    from xml.dom import minidom

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
SOFTWARE = f"Photochrom {__version__}"

META = "adobe:ns:meta/"
XMP = "http://ns.adobe.com/xap/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OURS = "urn:uuid:0767a4eb-2d6e-4b31-a17f-5be5a6826f69#"
"""A name, and no address: a random number is nobody else's, and needs no domain that somebody must keep (RFC 9562)."""
FORMER = "https://photochrom.invalid/ns/1.0/"
"""The name in results made before: their records are read, and give way to a new one, all the same."""
PREFIXES = {"xmp": XMP, "Iptc4xmpExt": IPTC, "photochrom": OURS}

WRAPPED = re.compile(rb"\s*(<\?xpacket begin=[^>]*\?>)(.*)(<\?xpacket end=[^>]*\?>)\s*", re.DOTALL)
SPACE = b"\0 \t\r\n"


@dataclass(frozen=True)
class Record:
    """What a result says of its making."""

    version: str
    """Of Photochrom."""
    model: str
    model_sha256: str
    settings: str
    """Options as JSON."""
    source: str = ""
    """Name of the photograph's file, without its folder; nothing where it came from none."""
    source_sha256: str = ""


def record(colorizer: Colorizer, *, format: Format | None, source: str = "", sha256: str = "") -> Record:
    """Make the record of a run, the same for the same run.

    Args:
        colorizer: what colors the photograph.
        format: what is written.
        source: name of its file, without the folder; nothing, or "-" for standard input, where there is none.
        sha256: hash of that file.
    """
    settings = json.dumps(colorizer.options.fitted(format).recorded(), sort_keys=True)
    card = colorizer.model.card
    return Record(__version__, card.name, colorizer.model.hash, settings, "" if source == "-" else _printable(source), sha256)


def difference(found: Record, colorizer: Colorizer, *, format: Format | None) -> str:
    """Say with what else a result was made than this run would take; nothing where it is the same.

    Args:
        found: of the result.
        colorizer: of this run.
        format: what this run writes; none for the source's own, which is taken to be that of the result.
    """
    if found.model_sha256 != colorizer.model.hash:
        return f"with another model ({found.model})"
    try:
        then = dict(json.loads(found.settings))
    except (TypeError, ValueError):
        return "with settings that cannot be read"
    wanted = format or next((known for known in FORMATS if known == then.get("format")), None)
    now = json.loads(record(colorizer, format=wanted).settings)
    names = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    return f"with other settings ({', '.join(names)})" if names else ""


def options(record: Record, *, max_pixels: int) -> Options:
    """Return the options that a result was made with.

    Raises:
        OptionError: they are not those of this version.
    """
    try:
        settings: dict[str, Any] = json.loads(record.settings)
        settings["hints"] = tuple(Hint(**hint) for hint in settings.get("hints", ()))
        if settings.get("palette") is not None:
            settings["palette"] = tuple(settings["palette"])
        return Options(**settings, max_pixels=max_pixels)
    except (AttributeError, TypeError, ValueError) as error:
        raise OptionError(
            f"the settings of version {record.version} do not fit version {__version__} ({error}); use the version that made it"
        ) from error


def merged(xmp: bytes | None, record: Record) -> bytes:
    """Put a record into an XMP packet, or into a new one.

    A packet that cannot be parsed is of no use to any reader: it is kept as it is inside ours, as ``unreadable`` in base64.
    """
    wrapped = WRAPPED.fullmatch(xmp or b"")
    begin, body, end = wrapped.groups() if wrapped else (BEGIN, xmp or b"", END)
    properties = {"Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE, "photochrom:software": SOFTWARE}
    properties |= {f"photochrom:{name}": value for name, value in dataclasses.asdict(record).items() if value}
    try:
        document = _parsed(body) if body.strip(SPACE) else None
    except ValueError:
        document = None
        properties["photochrom:unreadable"] = base64.b64encode(xmp or b"").decode("ascii")
    if document is None:
        properties["xmp:CreatorTool"] = SOFTWARE
        text = f'<x:xmpmeta xmlns:x="{META}"><rdf:RDF xmlns:rdf="{RDF}">{_description("", properties)}</rdf:RDF></x:xmpmeta>'
        return b"\n".join([BEGIN, text.encode("utf-8"), END])
    if (before := _cleared(document)) not in ("", SOURCE_TYPE):
        properties["photochrom:sourceType"] = before
    if not _value(document, XMP, "CreatorTool"):  # the first tool that made the picture, by the XMP specification
        properties["xmp:CreatorTool"] = SOFTWARE
    return b"\n".join([begin, _serialized(document, properties), end])


def find(xmp: bytes | None) -> Record | None:
    """Read the record of a packet; none where there is none.

    Raises:
        PhotoError: it is not whole.
    """
    wrapped = WRAPPED.fullmatch(xmp or b"")
    try:
        document = _parsed(wrapped[2] if wrapped else xmp or b"")
    except ValueError:
        return None
    fields = [field.name for field in dataclasses.fields(Record)]
    found = {name: _value(document, OURS, name) or _value(document, FORMER, name) for name in fields}
    if not any(found.values()):
        return None
    if missing := [name for name in ("version", "model", "model_sha256", "settings") if not found[name]]:
        raise PhotoError(f"its record lacks {', '.join(missing)}: another program has changed it; take an untouched copy")
    return Record(**found)


def _parsed(body: bytes) -> minidom.Document:
    """Parse what a packet wraps; raises ValueError for anything else than XMP."""
    from xml.dom import minidom  # here, since few photographs have any
    from xml.parsers.expat import ExpatError

    if b"<!DOCTYPE" in body:
        raise ValueError("XMP has no document type")  # whose entities may grow without bound
    try:
        document = minidom.parseString(body.strip(SPACE))
        document.toxml()  # which meets the limit of recursion here, where a deep one is refused
    except (ExpatError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise ValueError("XMP has an rdf:RDF")
    return document


def _description(about: str, properties: Mapping[str, str]) -> str:
    """Write a description of its own for some properties."""
    names = {"rdf": RDF} | {prefix: PREFIXES[prefix] for prefix in sorted({name.partition(":")[0] for name in properties})}
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
    lines = [f"<{name}>{_escaped(value)}</{name}>" for name, value in properties.items()]
    return "\n  ".join([f'\n <rdf:Description rdf:about="{_escaped(about)}" {spaces}>', *lines]) + "\n </rdf:Description>\n"


def _serialized(document: minidom.Document, properties: Mapping[str, str]) -> bytes:
    """Write a document with one more description, all prefixes, comments and line breaks as they were."""
    # All descriptions of a packet are about the same.
    about = next((item.getAttributeNS(RDF, "about") for item in _descriptions(document)), "")
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    rdf.appendChild(document.createProcessingInstruction("photochrom", "here"))
    return written(document.childNodes).replace("<?photochrom here?>", _description(about, properties)).encode("utf-8")


def _cleared(document: minidom.Document) -> str:
    """Take an older record and the digital source type out of all descriptions, and give the source type."""
    before = (
        _value(document, OURS, "sourceType")
        or _value(document, FORMER, "sourceType")
        or _value(document, IPTC, "DigitalSourceType")
    )

    def old(node: Any) -> bool:
        name = node.namespaceURI, node.localName
        if name == (XMP, "CreatorTool"):
            return _text(node).startswith("Photochrom ")
        return name == (IPTC, "DigitalSourceType") or (name[0] in (OURS, FORMER) and name[1] != "unreadable")

    for description in _descriptions(document):
        for attribute in [item for item in description.attributes.values() if old(item)]:
            description.removeAttributeNode(attribute)
        for item in [item for item in description.childNodes if old(item)]:
            description.removeChild(item)
        left = [name for name in dict(description.attributes.items()) if not name.startswith("xmlns")]
        if left in ([], ["rdf:about"]) and not any(item.nodeType == item.ELEMENT_NODE for item in description.childNodes):
            for node in (description.previousSibling, description.nextSibling, description):
                if node is description or (node is not None and node.nodeType == node.TEXT_NODE):
                    description.parentNode.removeChild(node)
    return before


def _descriptions(document: minidom.Document) -> list[Any]:
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    return [node for node in rdf.childNodes if (node.namespaceURI, node.localName) == (RDF, "Description")]


def _value(document: minidom.Document, space: str, name: str) -> str:
    """Return the text of a property, which a description has as an attribute or as an element."""
    for description in _descriptions(document):
        if description.hasAttributeNS(space, name):
            return str(description.getAttributeNS(space, name))
        for item in description.childNodes:
            if (item.namespaceURI, item.localName) == (space, name):
                return _text(item)
    return ""


def _text(node: Any) -> str:
    if node.nodeType == node.ATTRIBUTE_NODE:
        return str(node.value)
    return node.getAttributeNS(RDF, "resource") or "".join(item.nodeValue or "" for item in node.childNodes)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _printable(text: str) -> str:
    """Escape what XML cannot hold."""
    return re.sub(r"[^\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", lambda match: f"\\x{ord(match[0]):02x}", text)
