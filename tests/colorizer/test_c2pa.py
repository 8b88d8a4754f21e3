"""Signed C2PA manifests, with a certificate made here: what they say, that they verify, and every fault."""

from __future__ import annotations

import datetime
import io
import json
import sys
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from photochrom.colorizer import provenance, proxy, stream
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import color_file, recorded
from photochrom.errors import OptionError, OutputError
from photochrom.photo import vips
from tests.support import testdata

KEYS: dict[str, Any] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def certificate(subject: str, key: Any, signer: Any, *, authority: bool) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    usage = x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)
    builder = (
        x509.CertificateBuilder(
            name("authority"), name(subject), key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def identity(folder: Path, kind: str = "es256") -> dict[str, str]:
    """Make a certificate with the one that vouches for it, and its key."""
    root, own = KEYS["es256"](), KEYS[kind]()
    chain, key = folder / f"{kind}.crt", folder / f"{kind}.key"
    chain.write_bytes(certificate("signer", own, root, authority=False) + certificate("authority", root, root, authority=True))
    key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {"certificate": str(chain), "key": str(key)}


@pytest.fixture(scope="module")
def plain() -> Colorizer:
    return Colorizer.load()


def color(plain: Colorizer, source: Path, target: Path, **options: Any) -> Path:
    color_file(source, target, colorizer=Colorizer(plain.model, Options(**options)))
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(testdata.file(testdata.grey(60, 80), "JPEG"))
    return path


@pytest.mark.parametrize("kind", KEYS)
def test_a_manifest_says_what_was_done_to_which_photograph(kind: str, source: Path, tmp_path: Path, plain: Colorizer) -> None:
    target = color(plain, source, tmp_path / "out.jpg", **identity(tmp_path, kind))
    with c2pa.Reader("image/jpeg", io.BytesIO(target.read_bytes())) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = json.loads(reader.json())["manifests"][reader.get_active_manifest()["label"]]
    assert manifest["signature_info"]["alg"].lower() == kind
    assert [(item["title"], item["relationship"]) for item in manifest["ingredients"]] == [("photo.jpg", "parentOf")]
    (actions,) = (item["data"]["actions"] for item in manifest["assertions"] if item["label"].startswith("c2pa.actions"))
    assert [action["action"] for action in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"] == provenance.SOURCE_TYPE
    assert manifest["claim_generator_info"][0]["name"] == "Photochrom"
    assert recorded(target).source == "photo.jpg"


@pytest.mark.parametrize("format", ["png", "webp", "tif", "avif"])
def test_in_every_format_that_holds_one(format: str, source: Path, tmp_path: Path, plain: Colorizer) -> None:
    options = identity(tmp_path)
    target = color(plain, source, tmp_path / f"out.{format}", **options)
    bare = color(plain, source, tmp_path / f"bare.{format}")
    with c2pa.Reader(f"image/{format}", io.BytesIO(target.read_bytes())) as reader:
        assert reader.get_validation_state() == "Valid"
    assert recorded(target) == recorded(bare)
    assert (testdata.luma(target.read_bytes()) == testdata.luma(bare.read_bytes())).all()


def test_a_changed_result_does_not_verify(source: Path, tmp_path: Path, plain: Colorizer) -> None:
    data = bytearray(color(plain, source, tmp_path / "out.png", **identity(tmp_path)).read_bytes())
    data[-20] ^= 1
    with c2pa.Reader("image/png", io.BytesIO(data)) as reader:
        assert reader.get_validation_state() == "Invalid"


def test_faults_of_the_signer_are_said_and_nothing_is_written(source: Path, tmp_path: Path, plain: Colorizer) -> None:
    good, other = identity(tmp_path), identity(tmp_path, "ps256")
    text, locked = tmp_path / "text.pem", tmp_path / "locked.pem"
    text.write_text("no key")
    locked.write_bytes(KEYS["es256"]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    for options, said in (
        (good | {"certificate": str(tmp_path / "none.crt")}, r"none\.crt: cannot be read"),
        (good | {"key": str(text)}, r"text\.pem: is no private key in PEM form without a password"),
        (good | {"key": str(locked)}, r"locked\.pem: is no private key in PEM form without a password"),
        (good | {"certificate": str(text)}, r"text\.pem: the manifest cannot be signed with it"),
        (good | {"key": other["key"]}, r"es256\.crt: the manifest cannot be signed with it"),
    ):
        with pytest.raises(OptionError, match=said):
            color(plain, source, tmp_path / "out.jpg", **options)
    with pytest.raises(OptionError, match="a certificate without its key"):
        Options(certificate="x")
    with pytest.raises(OutputError, match="a BMP is not signed"):
        color(plain, source, tmp_path / "out.bmp", **good)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("tiled", [False, True])
def test_a_streamed_scan_is_signed(tiled: bool, tmp_path: Path, plain: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HUGE", 100)
    scan = tmp_path / "scan.tif"
    grey = vips.library().Image.new_from_array(testdata.grey(60, 80).astype("u2") * 257).copy(interpretation="grey16")
    grey.tiffsave(str(scan), **({"tile": True, "tile_width": 32, "tile_height": 32} if tiled else {}))
    (tmp_path / "out").mkdir()
    options = identity(tmp_path)
    target = color(plain, scan, tmp_path / "out" / "signed.tif", **options)
    bare = color(plain, scan, tmp_path / "out" / "bare.tif")
    with target.open("rb") as file, c2pa.Reader("image/tiff", file) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = json.loads(reader.json())["manifests"][reader.get_active_manifest()["label"]]
    assert [(item["title"], item["relationship"]) for item in manifest["ingredients"]] == [("scan.tif", "parentOf")]
    assert recorded(target) == recorded(bare)
    samples = [vips.load(path.read_bytes(), "tiff", max_pixels=10_000)[0] for path in (target, bare)]
    assert samples[0].dtype == "u2"
    assert (samples[0] == samples[1]).all()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"signed.tif", "bare.tif"}


def test_a_scan_is_not_begun_with_a_key_that_cannot_sign(
    tmp_path: Path, plain: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HUGE", 100)
    monkeypatch.delattr(proxy, "read")
    scan, text = tmp_path / "scan.tif", tmp_path / "text.pem"
    scan.write_bytes(testdata.file(testdata.grey(60, 80), "TIFF"))
    text.write_text("no key")
    with pytest.raises(OptionError, match=r"text\.pem: is no private key in PEM form"):
        color(plain, scan, tmp_path / "out.tif", **identity(tmp_path) | {"key": str(text)})


def test_without_the_library_it_says_what_to_install(
    source: Path, tmp_path: Path, plain: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(OptionError, match=r"pip install 'photochrom\[c2pa\]'"):
        color(plain, source, tmp_path / "out.jpg", **identity(tmp_path))
