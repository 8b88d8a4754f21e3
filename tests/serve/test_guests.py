"""The server with somebody else's network: it colors, and takes clicks, by Model.load and nothing more."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.colorizer.adopt import adopt
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import Model
from tests.support import guests
from tests.support.servers import client

ROUNDING = 2 / 255


def chroma_of(data: bytes) -> np.ndarray:
    red, green, blue = np.moveaxis(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float) / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([(blue - luma) / 1.772, (red - luma) / 1.402])


@pytest.mark.parametrize("name", ["ddcolor, square", "deoldify, bytes", "eccv16, shares", "siggraph17, hints"])
def test_a_guest_is_served(name: str, tmp_path: Path) -> None:
    made = guests.MODELS[name]()
    adopt(guests.save(made, tmp_path / "theirs.onnx"), tmp_path / "ours.onnx")
    luma = np.rint(255 * guests.ramp(60, 80)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(luma).save(buffer, "PNG")
    upload = {"photo": ("photo.png", buffer.getvalue(), "image/png")}
    with client(model=Model.load(tmp_path / "ours.onnx")) as page:
        about = page.get("/v1/model").json()
        assert (about["name"], about["hints"], about["palettes"]) == ("theirs", True, False)
        plain = page.post("/v1/colorize", files=upload)
        assert plain.status_code == 200, plain.text
        np.testing.assert_allclose(chroma_of(plain.content), made.chroma(luma / 255), atol=ROUNDING)
        options = json.dumps({"hints": [{"x": 40, "y": 30, "color": "#8a7020"}]})
        clicked = page.post("/v1/colorize", files=upload, data={"options": options})
        wanted = np.array(Hint(40, 30, "#8a7020").chroma)
        np.testing.assert_allclose(chroma_of(clicked.content)[:, 30, 40], wanted, atol=2 / 255)
