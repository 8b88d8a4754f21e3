"""The record in a result's XMP: there in every format, nothing of the source's lost, the same bytes for the same run."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import photochrom
from photochrom.colorizer import provenance, stream
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import color_file, recorded
from photochrom.colorizer.hints import Hint
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import convert
from tests.support import testdata

SOURCE = "uuid:4f1c"
PACKET = f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 5.6"><!-- a note --><rdf:RDF xmlns:rdf="{provenance.RDF}">
<rdf:Description rdf:about="{SOURCE}" xmlns:own="http://example.org/own/" own:lines="one&#xA;two &lt;&quot;&gt;"
 xmlns:q="{provenance.IPTC}" q:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm"
 xmlns:xmp="{provenance.XMP}" xmp:CreatorTool="SilverFast">
<own:title><rdf:Alt><rdf:li xml:lang="x-default">Ada &amp; Œuvre</rdf:li></rdf:Alt></own:title></rdf:Description>
</rdf:RDF></x:xmpmeta>
          <?xpacket end="r"?>""".encode()
IPTC, XMP, OURS = (f"{{{uri}}}" for uri in (provenance.IPTC, provenance.XMP, provenance.OURS))


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


@pytest.fixture(scope="module")
def record(colorizer: Colorizer) -> provenance.Record:
    return provenance.record(colorizer, format="JPEG", source="scan.tif", sha256="ab" * 32)


def properties(xmp: bytes) -> dict[str, str]:
    """Read all simple properties of a packet as any reader does."""
    found: dict[str, str] = {}
    for description in ET.fromstring(xmp.split(b"?>", 1)[1].rsplit(b"<?", 1)[0]).iter(f"{{{provenance.RDF}}}Description"):
        for name, value in [*description.attrib.items(), *((item.tag, item.text or "") for item in description)]:
            assert name not in found or name.endswith("about"), f"{name} twice"
            found[name] = value
    return found


def test_a_record_under_the_former_name_is_read_and_replaced(record: provenance.Record) -> None:
    former = provenance.merged(PACKET, record).replace(provenance.OURS.encode(), provenance.FORMER.encode())
    assert provenance.find(former) == record
    after = provenance.merged(former, dataclasses.replace(record, model="another"))
    assert provenance.FORMER.encode() not in after
    assert properties(after)[f"{OURS}model"] == "another"
    assert properties(after)[f"{OURS}sourceType"].endswith("negativeFilm")
    assert provenance.OURS[-1] in "/#", "a name is appended to it"


def test_a_new_packet_says_all(record: provenance.Record, colorizer: Colorizer) -> None:
    found = properties(provenance.merged(None, record))
    assert found[f"{IPTC}DigitalSourceType"].endswith("/digitalsourcetype/compositeWithTrainedAlgorithmicMedia")
    assert found[f"{XMP}CreatorTool"] == f"Photochrom {photochrom.__version__}"
    assert found[f"{OURS}model"] == colorizer.model.card.name
    assert found[f"{OURS}model_sha256"] == colorizer.model.hash
    assert json.loads(found[f"{OURS}settings"])["vividness"] == 1
    assert found[f"{OURS}source_sha256"] == "ab" * 32
    assert provenance.find(provenance.merged(None, record)) == record


def test_nothing_of_a_packet_is_lost(record: provenance.Record) -> None:
    merged = provenance.merged(PACKET, record)
    assert merged.startswith(b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert merged.endswith(b'<?xpacket end="r"?>')
    assert b"<!-- a note -->" in merged
    assert b'xmlns:own="http://example.org/own/"' in merged
    before, after = properties(PACKET), properties(merged)
    assert after[f"{IPTC}DigitalSourceType"] == provenance.SOURCE_TYPE
    assert after[f"{OURS}sourceType"] == before[f"{IPTC}DigitalSourceType"]
    for name, value in before.items():
        if name != f"{IPTC}DigitalSourceType":
            assert after[name] == value, name
    assert after["{http://example.org/own/}lines"] == 'one\ntwo <">'
    assert "Ada &amp; Œuvre" in merged.decode()
    # All descriptions of one packet are about the same.
    assert merged.count(f'rdf:about="{SOURCE}"'.encode()) == 2


@pytest.mark.parametrize("xmp", [None, b"", PACKET, PACKET[39:-20].strip()], ids=["none", "empty", "packet", "no wrapper"])
def test_a_second_record_takes_the_place_of_the_first(xmp: bytes | None, record: provenance.Record) -> None:
    once = provenance.merged(xmp, record)
    other = dataclasses.replace(record, source="color.jpg", source_sha256="cd" * 32)
    twice = provenance.merged(once, other)
    assert provenance.find(twice) == other
    assert b"scan.tif" not in twice
    again = provenance.merged(twice, record)
    assert properties(again) == properties(once)
    assert provenance.merged(again, record) == again


@pytest.mark.parametrize(
    "xmp",
    [
        b"no XML at all <",
        b"<a/>",
        b"\xff\xfe\x00",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>',
        b"<a>" * 60000 + b"</a>" * 60000,
    ],
    ids=["text", "other XML", "binary", "entities", "deep"],
)
def test_a_packet_that_cannot_be_parsed_is_kept_as_it_is(xmp: bytes, record: provenance.Record) -> None:
    merged = provenance.merged(xmp, record)
    assert base64.b64decode(properties(merged)[f"{OURS}unreadable"]) == xmp
    assert provenance.find(merged) == record
    assert base64.b64encode(xmp) in provenance.merged(merged, record)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_with_xmp_carries_it(kind: str, tmp_path: Path, colorizer: Colorizer) -> None:
    source = tmp_path / "größe & <co>.png"
    source.write_bytes(testdata.file(testdata.scene(60, 80), "PNG"))
    target = tmp_path / f"out.{kind.lower()}"
    color_file(source, target, colorizer=colorizer)
    found = recorded(target)
    assert found.source == source.name
    assert found.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert json.loads(found.settings)["format"] == kind
    assert provenance.options(found, max_pixels=5) == Options(on_color="recolor", format=kind, max_pixels=5)
    xmp = convert.read(target).xmp
    assert xmp
    assert properties(xmp)[f"{IPTC}DigitalSourceType"] == provenance.SOURCE_TYPE


def test_a_streamed_scan_carries_it_and_keeps_its_own(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HUGE", 100)
    source = tmp_path / "scan.tif"
    source.write_bytes(testdata.file(testdata.grey(60, 80), "TIFF", {"tiffinfo": {700: PACKET}}))
    assert stream.scan(source)
    color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    assert recorded(tmp_path / "out.tif").source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    scan = stream.scan(tmp_path / "out.tif")
    assert scan
    assert properties(scan.directory[700].data)[f"{XMP}CreatorTool"] == "SilverFast"


def test_the_record_is_the_same_in_another_process(tmp_path: Path, colorizer: Colorizer) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(testdata.file(testdata.grey(60, 80), "JPEG", {"xmp": PACKET}))
    color_file(source, tmp_path / "one.jpg", colorizer=colorizer)
    command = [sys.executable, "-m", "photochrom", "colorize", source, "-o", tmp_path / "two.jpg", "--on-color", "recolor"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()


def test_settings_come_back(record: provenance.Record) -> None:
    given = Options(vividness=0.1 + 0.2, on_color="error", luma="fast", hints=(Hint(3, 4, "#c04030"),))
    made = dataclasses.replace(record, settings=json.dumps(given.recorded() | {"format": "JPEG"}))
    assert provenance.options(made, max_pixels=given.max_pixels) == dataclasses.replace(given, format="JPEG")
    for bad in ('{"sepia": 1}', "[]", "{", '{"vividness": 9}'):
        with pytest.raises(OptionError):
            provenance.options(dataclasses.replace(record, settings=bad), max_pixels=1)


def test_bytes_say_what_they_were_made_from(colorizer: Colorizer) -> None:
    data = testdata.file(testdata.grey(60, 80), "JPEG")
    found = provenance.find(convert.read(photochrom.colorize(data, colorizer=colorizer)).xmp)
    assert found
    assert (found.source, found.source_sha256) == ("", hashlib.sha256(data).hexdigest())


def test_a_record_that_is_not_whole_is_refused(tmp_path: Path, record: provenance.Record) -> None:
    cut = provenance.merged(None, record).replace(b"photochrom:model>", b"photochrom:other>")
    path = tmp_path / "cut.jpg"
    path.write_bytes(testdata.file(testdata.grey(30, 40), "JPEG", {"xmp": cut}))
    with pytest.raises(PhotoError, match=r"cut\.jpg: its record lacks model: another program has changed it"):
        recorded(path)
    path.write_bytes(testdata.file(testdata.grey(30, 40), "JPEG", {"xmp": PACKET}))
    with pytest.raises(PhotoError, match=r"cut\.jpg: its metadata hold no record of Photochrom"):
        recorded(path)
