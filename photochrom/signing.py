"""Sign a C2PA manifest of a result with the user's certificate: what was done, by what software, to which photograph."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from photochrom import __version__
from photochrom.errors import OptionError, OutputError, one_line
from photochrom.files import Format, Kind
from photochrom.provenance import SOURCE_TYPE

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


def signed(data: bytes, format: Format, *, name: str, source: bytes, source_format: Kind, certificate: str, key: str) -> bytes:
    """Put a signed manifest into a result.

    Args:
        data: the result's file.
        format: its format.
        name: of the source's file.
        source: the photograph that it was made from: the manifest's ingredient.
        source_format: that one's format.
        certificate: a PEM file of the signer's certificate, followed by those that vouch for it.
        key: a PEM file of its private key, without a password.

    Raises:
        OptionError: c2pa-python is not installed, or the certificate or the key cannot be used.
        OutputError: the format holds no manifest.
    """
    if format not in TYPES or source_format not in TYPES:
        bad = source_format if format in TYPES else format
        raise OutputError(f"a {bad} is not signed; C2PA manifests are for {', '.join(TYPES)}: leave the certificate out")
    try:
        import c2pa
    except ImportError as error:
        raise OptionError("signing needs c2pa-python, which is not installed; pip install 'photochrom[c2pa]'") from error
    chain, secret = (_read(path) for path in (certificate, key))
    agent = {"name": "Photochrom", "version": __version__}
    edited = {"action": "c2pa.edited", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [opened, edited]}}
    output = io.BytesIO()
    try:
        builder = c2pa.Builder.from_json({"claim_generator_info": [agent], "title": name, "assertions": [actions]})
        ingredient = {"title": name, "relationship": "parentOf", "instance_id": "source", "label": "source"}
        builder.add_ingredient(ingredient, TYPES[source_format], io.BytesIO(source))
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(_algorithm(secret, key), chain, secret, None))
        builder.sign(signer, TYPES[format], io.BytesIO(data), output)
    except c2pa.C2paError as error:
        raise OptionError(
            f"{certificate}: the manifest cannot be signed with it ({one_line(error)}); give a certificate for C2PA, the ones "
            "that vouch for it in the same file, and its own key"
        ) from error
    return output.getvalue()


def _algorithm(secret: bytes, path: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any
    try:
        key = load_pem_private_key(secret, None)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{path}: is no private key in PEM form without a password ({one_line(error)})") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    found = "ps256" if isinstance(key, rsa.RSAPrivateKey) else ""
    found = CURVES.get(key.curve.name, "") if isinstance(key, ec.EllipticCurvePrivateKey) else found
    if not found:
        raise OptionError(f"{path}: is a key of a kind that C2PA does not know; give an EC, RSA or Ed25519 key")
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
