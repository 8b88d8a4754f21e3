"""Sign a C2PA manifest of a result with the user's certificate: what was done, by what software, to which photograph."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from photochrom.colorizer.provenance import SOURCE_TYPE
from photochrom.errors import OptionError, OutputError, one_line
from photochrom.photo.formats import Format, Kind
from photochrom.version import __version__

TYPES: dict[Kind, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "GIF": "image/gif",
}
"""The formats that can be signed or hold a manifest."""

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
"""Algorithms of the C2PA specification (13.2.1) by the curve of the key."""


SPARING = {"core": {"backing_store_memory_threshold_in_mb": 16}, "builder": {"thumbnail": {"enabled": False}}}
"""Settings for large files: one of the library's two copies is kept on the disk, and no picture decoded for a thumbnail.

The other copy, with which it finds where a TIFF's manifest lies, stays in memory: 6 bytes for each pixel of 16 bits.
"""


@dataclass(frozen=True)
class Signature:
    """Who signs, with a certificate and a key that were read and fit each other's kind."""

    signer: Any
    certificate: str
    """Its path, for errors."""


def signature(certificate: str, key: str) -> Signature:
    """Read a certificate and its key.

    Args:
        certificate: a PEM file of the signer's certificate, followed by those that vouch for it.
        key: a PEM file of its private key, without a password.

    Raises:
        OptionError: c2pa-python is not installed, or the certificate or the key cannot be used.
    """
    try:
        import c2pa
    except ImportError as error:
        raise OptionError("signing needs c2pa-python, which is not installed; pip install 'photochrom[c2pa]'") from error
    chain, secret = (_read(path) for path in (certificate, key))
    try:
        return Signature(c2pa.Signer.from_info(c2pa.C2paSignerInfo(_algorithm(secret, key), chain, secret, None)), certificate)
    except c2pa.C2paError as error:
        raise _refused(certificate, error) from error


def signed(data: bytes, format: Format, signature: Signature, *, name: str, source: bytes, source_format: Kind) -> bytes:
    """Put a signed manifest into a result; see ``sign``."""
    output = io.BytesIO()
    files = io.BytesIO(data), output, io.BytesIO(source)
    sign(*files, signature, format=format, source_format=source_format, name=name)
    return output.getvalue()


def sign(
    file: BinaryIO,
    output: BinaryIO,
    source: BinaryIO,
    signature: Signature,
    *,
    format: Format,
    source_format: Kind,
    name: str,
    sparing: bool = False,
) -> None:
    """Write a result with a signed manifest.

    Args:
        file: the result.
        output: open to read and write.
        source: the photograph that it was made from: the manifest's ingredient.
        signature: who signs.
        format: the result's.
        source_format: the photograph's.
        name: of the photograph's file.
        sparing: make no thumbnails, and keep a copy in the folder for temporary files, not in memory.

    Raises:
        OptionError: the certificate and the key cannot be used.
        OutputError: the format holds no manifest, or the output cannot be written.
    """
    if format not in TYPES or source_format not in TYPES:
        bad = source_format if format in TYPES else format
        raise OutputError(f"a {bad} is not signed; C2PA manifests are for {', '.join(TYPES)}: leave the certificate out")
    import c2pa

    agent = {"name": "Photochrom", "version": __version__}
    edited = {"action": "c2pa.edited", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [opened, edited]}}
    manifest = {"claim_generator_info": [agent], "title": name, "assertions": [actions]}
    ingredient = {"title": name, "relationship": "parentOf", "instance_id": "source", "label": "source"}
    try:
        builder = c2pa.Builder.from_json(manifest, c2pa.Context(c2pa.Settings.from_dict(SPARING)) if sparing else None)
        builder.add_ingredient(ingredient, TYPES[source_format], source)
        builder.sign(signature.signer, TYPES[format], file, output)
    except c2pa.C2paError.Io as error:
        raise OutputError(f"a signed manifest cannot be written ({one_line(error)}); make room on the disk") from error
    except c2pa.C2paError as error:
        raise _refused(signature.certificate, error) from error


def _refused(certificate: str, error: Exception) -> OptionError:
    return OptionError(
        f"{certificate}: the manifest cannot be signed with it ({one_line(error)}); give a certificate for C2PA, the ones "
        "that vouch for it in the same file, and its own key"
    )


def _algorithm(secret: bytes, path: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any
    try:
        key = load_pem_private_key(secret, None)
    except (TypeError, ValueError) as error:
        raise OptionError(f"is no private key in PEM form without a password ({one_line(error)})", path=path) from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    found = "ps256" if isinstance(key, rsa.RSAPrivateKey) else ""
    found = CURVES.get(key.curve.name, "") if isinstance(key, ec.EllipticCurvePrivateKey) else found
    if not found:
        raise OptionError("is a key of a kind that C2PA does not know; give an EC, RSA or Ed25519 key", path=path)
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OptionError(f"cannot be read ({error.strerror}); check the path and its permissions", path=path) from error
