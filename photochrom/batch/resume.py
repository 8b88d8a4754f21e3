"""Recognize results of earlier runs by what they say of their making, where no manifest remembers them."""

from __future__ import annotations

import os
from pathlib import Path

from photochrom.colorizer import provenance
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.file import written_as
from photochrom.colorizer.provenance import Record
from photochrom.errors import OutputError, PhotoError
from photochrom.files import stamp
from photochrom.photo.convert import packet


def recorded(path: Path) -> Record | None:
    """Read what a file says of its making, and none of its pixels; none where it says nothing, or not all of it."""
    try:
        return provenance.find(packet(path))
    except PhotoError:
        return None


def is_current(source: Path, target: Path, *, colorizer: Colorizer, sha256: str | None = None) -> bool:
    """Tell whether a result is there that says it was made of this photograph, with this model and these settings.

    It may have been retouched since, which its metadata survive: so one that was made otherwise is not to be replaced unasked.

    Args:
        source: the photograph.
        target: where its result belongs.
        colorizer: of this run.
        sha256: hash of the photograph; where it is not known, it is taken only if all else agrees.

    Returns:
        False where there is no file, or one that does not say; then too where the result is to be signed, since no record
        tells by whom one was.

    Raises:
        OutputError: the result says that it was made otherwise.
        PhotoError: the photograph cannot be read.
    """
    if colorizer.options.certificate or not os.path.lexists(target):
        return False
    found = recorded(target)
    if found is None:
        return False
    how = provenance.difference(found, colorizer, format=colorizer.options.format or written_as(target))
    if not how and found.source_sha256 != (sha256 or stamp(source).sha256):
        how = "from another photograph, or from this one before it changed"
    if how:
        told = f"exists already, made {how}, and may have been retouched since"
        raise OutputError(f"{told}; move it away, or allow it to be replaced (--overwrite)", path=target)
    return True
