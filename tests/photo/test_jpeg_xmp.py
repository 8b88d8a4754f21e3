"""A packet that does not fit into one segment of a JPEG is split as the specification says, and readers find all of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from photochrom.colorizer import file, provenance
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OutputError
from photochrom.photo import convert, formats
from photochrom.photo.codecs import jpeg_segments, jpeg_xmp
from tests.support import testdata

LONG = "x" * 64_600


def packet(text: str, *, note: str = "") -> bytes:
    about = f'<rdf:Description rdf:about="" xmlns:own="http://example.org/own/"{note}><own:story>{text}</own:story></rdf:Description>'
    head = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{jpeg_xmp.RDF}" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    )
    return f"{head}{about}</rdf:RDF></x:xmpmeta>".encode()


def with_segments(*segments: jpeg_segments.Segment) -> bytes:
    content = testdata.file(testdata.grey(60, 80), "JPEG")
    return content[:2] + jpeg_segments.lay_out(segments) + content[2:]


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


def extension(content: bytes) -> tuple[str, bytes]:
    """Put the extended packet of a file together as any reader does: by its segments' own numbers."""
    parts, names = {}, set()
    for _, payload in jpeg_segments.parse(content).segments:
        if payload.startswith(jpeg_segments.EXTENDED_XMP):
            rest = payload[len(jpeg_segments.EXTENDED_XMP) :]
            names.add((rest[:32].decode(), int.from_bytes(rest[32:36])))
            parts[int.from_bytes(rest[36:40])] = rest[40:]
    ((name, length),) = names
    whole = b"".join(parts[place] for place in sorted(parts))
    assert len(whole) == length
    assert hashlib.md5(whole).hexdigest().upper() == name
    return name, whole


def test_a_packet_that_nearly_fills_a_segment_is_kept_beside_the_record(colorizer: Colorizer, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(with_segments((jpeg_segments.APP1, jpeg_segments.XMP + packet(LONG))))
    file.color_file(tmp_path / "a.jpg", tmp_path / "b.jpg", colorizer=colorizer)
    content = (tmp_path / "b.jpg").read_bytes()
    assert file.recorded(tmp_path / "b.jpg").source == "a.jpg"
    name, whole = extension(content)
    assert LONG.encode() in whole
    main = convert.read(content).xmp or b""
    assert f'HasExtendedXMP="{name}"'.encode() in main
    assert LONG.encode() not in main
    # Once more: the record is replaced, and the rest stays where it is.
    again = file.encoded(content, colorizer)
    assert extension(again) == (name, whole)
    assert provenance.find(convert.read(again).xmp) is not None


def test_two_parts_become_two_parts(colorizer: Colorizer) -> None:
    other = packet("the other part")
    name = hashlib.md5(other).hexdigest().upper()
    head = jpeg_segments.EXTENDED_XMP + name.encode() + len(other).to_bytes(4)
    pieces = [
        (jpeg_segments.APP1, head + start.to_bytes(4) + other[start : start + 100]) for start in range(0, len(other), 100)
    ]
    note = f' xmlns:xmpNote="{jpeg_xmp.NOTE}" xmpNote:HasExtendedXMP="{name}"'
    content = with_segments((jpeg_segments.APP1, jpeg_segments.XMP + packet(LONG, note=note)), *reversed(pieces))
    out = file.encoded(convert.read(content), colorizer)
    _, whole = extension(out)
    assert whole.count(b"<own:story>") == 2
    assert b"the other part" in whole
    assert LONG.encode() in whole
    assert b"HasExtendedXMP" not in whole
    with pytest.raises(OutputError, match="cannot be split \\(its other part is damaged\\)"):
        file.encoded(
            convert.read(with_segments((jpeg_segments.APP1, jpeg_segments.XMP + packet(LONG, note=note)), *pieces[1:])),
            colorizer,
        )


def in_two_parts(main: bytes, other: bytes) -> tuple[jpeg_segments.Segment, ...]:
    """Lay out a packet, with ``%s`` where it names the other part, and that part, in pieces of 60 kB in no order."""
    name = hashlib.md5(other).hexdigest().upper()
    head = jpeg_segments.EXTENDED_XMP + name.encode() + len(other).to_bytes(4)
    pieces = [
        (jpeg_segments.APP1, head + start.to_bytes(4) + other[start : start + 60_000]) for start in range(0, len(other), 60_000)
    ]
    return (jpeg_segments.APP1, jpeg_segments.XMP + main.replace(b"%s", name.encode())), *reversed(pieces)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "AVIF"])
def test_another_format_holds_both_parts_in_one_packet(format: formats.Format, colorizer: Colorizer) -> None:
    note = f' xmlns:xmpNote="{jpeg_xmp.NOTE}" xmpNote:HasExtendedXMP="%s"'
    # The other part calls another space by the same prefix, as it may.
    other = packet(5 * LONG).replace(b"http://purl.org/dc/elements/1.1/", b"http://example.org/dc/")
    other = other.replace(b"<own:story", b'<dc:line dc:broken="one&#10;two"/><own:story')
    main = packet("short").replace(b"<own:story", b"<dc:title>1910</dc:title><own:story")
    segments = in_two_parts(main.replace(b' xmlns:own="', note.encode() + b' xmlns:own="', 1), other)
    source = convert.read(with_segments(*segments))
    out = file.encoded(source, Colorizer(colorizer.model, Options(on_color="recolor", format=format)))
    xmp = convert.read(out).xmp or b""
    assert provenance.find(xmp) is not None
    assert xmp.count(LONG.encode()) == 5
    assert b"HasExtendedXMP" not in xmp
    tree = ET.fromstring(xmp.split(b"?>", 1)[1].rsplit(b"<?", 1)[0])
    assert [item.text for item in tree.iter("{http://purl.org/dc/elements/1.1/}title")] == ["1910"]
    assert [item.get("{http://example.org/dc/}broken") for item in tree.iter("{http://example.org/dc/}line")] == ["one\ntwo"]
    assert testdata.target(source, format).notes == ()
    damaged = convert.read(with_segments(*segments[:-1]))
    assert testdata.target(damaged, format).notes == ("the main part of its XMP, the extended one is missing or damaged",)
    out = file.encoded(damaged, Colorizer(colorizer.model, Options(on_color="recolor", format=format)))
    assert b"1910" in (convert.read(out).xmp or b"")


def test_another_jpeg_still_holds_two_parts(colorizer: Colorizer) -> None:
    note = f'<n:HasExtendedXMP xmlns:n="{jpeg_xmp.NOTE}">%s</n:HasExtendedXMP><own:story'
    other = packet("the other part")
    segments = in_two_parts(packet("short").replace(b"<own:story", note.encode(), 1), other)
    source = convert.read(with_segments(*segments))
    assert extension(file.encoded(source, colorizer))[1] == other
    assert b"the other part" in jpeg_xmp.joined(source.xmp or b"", source.extras)


def test_the_packet_of_a_tiff_may_be_any_size(colorizer: Colorizer) -> None:
    content = testdata.file(testdata.grey(60, 80), "TIFF", {"tiffinfo": {700: packet(4 * LONG)}})
    out = file.encoded(convert.read(content), Colorizer(colorizer.model, Options(format="JPEG")))
    assert (4 * LONG).encode() in extension(out)[1]


def test_what_cannot_be_split_is_refused_in_one_line() -> None:
    source = convert.read(testdata.file(testdata.grey(60, 80), "TIFF", {"tiffinfo": {700: packet(4 * LONG)}}))
    with pytest.raises(
        OutputError, match="bytes of XMP in one description do not fit into JPEG, which holds 65504; choose PNG"
    ):
        testdata.encode_as(source, *testdata.chroma((60, 80)), format="JPEG")
    with pytest.raises(OutputError, match="cannot be split"):
        jpeg_xmp.split(b"no XML" * 12_000, ())


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not here: apt-get install libimage-exiftool-perl")
def test_exiftool_reads_both_parts(colorizer: Colorizer, tmp_path: Path) -> None:
    content = with_segments((jpeg_segments.APP1, jpeg_segments.XMP + packet(LONG)))
    (tmp_path / "a.jpg").write_bytes(file.encoded(convert.read(content), colorizer))
    told = subprocess.run(["exiftool", "-j", "-XMP:all", "-warning", tmp_path / "a.jpg"], capture_output=True, check=True)
    (found,) = json.loads(told.stdout)
    assert found["Story"] == LONG
    assert found["DigitalSourceType"] == provenance.SOURCE_TYPE
    assert "Warning" not in found
