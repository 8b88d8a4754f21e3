"""One call for one photograph: what is given comes back."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import photochrom
from photochrom import Options
from photochrom.errors import OptionError, OutputError, PhotoError
from tests.support import testdata

FILES: dict[str, dict[str, object]] = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


def colors(picture: np.ndarray) -> float:
    """Mean distance of the largest and the smallest channel."""
    return float(np.ptp(picture.astype(int), axis=-1).mean())


def test_a_path_gives_the_path_written(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(content := testdata.file(testdata.grey(60, 80), "JPEG"))
    for given in (source, str(source)):
        written = photochrom.colorize(given)
        assert written == tmp_path / "a.color.jpg"
        assert testdata.opened(written.read_bytes()).mode == "RGB"
        with pytest.raises(OutputError, match="exists already"):
            photochrom.colorize(given)
        written.unlink()
    assert photochrom.colorize(source, options=Options(format="PNG")) == tmp_path / "a.color.png"
    assert source.read_bytes() == content


def test_a_result_has_the_format_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(testdata.file(testdata.grey(20, 20), "PNG"))
    assert testdata.opened(photochrom.colorize(tmp_path / "a.jpg").read_bytes()).format == "JPEG"


@pytest.mark.parametrize("kind", FILES)
def test_bytes_give_bytes_of_the_same_format(kind: str) -> None:
    picture = testdata.grey(61, 83)
    for wrap in (bytes, bytearray, memoryview):
        content = photochrom.colorize(wrap(testdata.file(picture, kind, FILES[kind])))
        assert isinstance(content, bytes)
        out = testdata.opened(content)
        assert (out.format, out.mode, out.size) == (kind, "RGB", (83, 61))
        assert colors(np.asarray(out)) > 0.5
    other = photochrom.colorize(testdata.file(picture, kind, FILES[kind]), options=Options(format="PNG"))
    assert testdata.opened(other).format == "PNG"


def test_an_array_gives_an_array() -> None:
    grey = testdata.grey(50, 70)
    out = photochrom.colorize(grey)
    assert (out.shape, out.dtype) == ((50, 70, 3), np.uint8)
    assert colors(out) > 0.5
    assert np.abs(np.asarray(Image.fromarray(out).convert("L")).astype(int) - grey).max() <= 1
    assert np.array_equal(photochrom.colorize(np.stack([grey] * 3, -1)), out)
    assert np.array_equal(photochrom.colorize(np.asfortranarray(grey)), out)
    assert np.array_equal(photochrom.colorize(np.repeat(grey, 2, 1)[:, ::2]), out)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(PhotoError, match=r"\(H, W\) or \(H, W, 1, 3 or 4\)"):
        photochrom.colorize(array)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P", "1"])
def test_an_image_gives_an_image(mode: str) -> None:
    image = Image.fromarray(testdata.grey(50, 70)).convert(mode)
    out = photochrom.colorize(image)
    assert isinstance(out, Image.Image)
    assert (out.size, out.mode) == ((70, 50), "RGBA" if mode.endswith("A") else "RGB")
    assert image.mode == mode


def test_an_image_keeps_what_it_carries() -> None:
    content = testdata.file(testdata.grey(50, 70), "JPEG", {"exif": testdata.exif(6), "dpi": (300, 300)})
    out = photochrom.colorize(testdata.opened(content))
    assert out.size == (70, 50)
    assert out.getexif()[274] == 6
    saved = io.BytesIO()
    out.save(saved, "PNG", exif=out.info["exif"])
    assert testdata.opened(saved.getvalue()).getexif()[271] == "Kodak"


def test_an_image_of_a_jpeg_gets_chroma_of_full_size() -> None:
    content = testdata.file(testdata.grey(50, 70), "JPEG", {"quality": 95})
    image = testdata.opened(content)
    assert np.array_equal(np.asarray(photochrom.colorize(image)), photochrom.colorize(np.asarray(image)))


def test_an_image_of_sixteen_bits_is_colored() -> None:
    deep = testdata.grey(50, 70).astype(np.uint16) * 257
    out = photochrom.colorize(Image.fromarray(deep))
    assert (out.mode, out.size) == ("RGB", (70, 50))
    assert np.abs(np.asarray(out.convert("L")).astype(int) - testdata.grey(50, 70)).max() <= 1


def test_arrays_with_one_channel_and_with_alpha() -> None:
    grey = testdata.grey(50, 70)
    plain = photochrom.colorize(grey)
    assert np.array_equal(photochrom.colorize(grey[..., None]), plain)
    alpha = testdata.grey(50, 70, seed=1)
    out = photochrom.colorize(np.dstack([grey, grey, grey, alpha]))
    assert np.array_equal(out[..., :3], plain) and np.array_equal(out[..., 3], alpha)


def test_open_files_and_outputs(tmp_path: Path) -> None:
    content = testdata.file(testdata.grey(50, 70), "PNG")
    (tmp_path / "a.png").write_bytes(content)
    expected = photochrom.colorize(content)
    assert photochrom.colorize(io.BytesIO(content)) == expected
    with (tmp_path / "a.png").open("rb") as file:
        assert photochrom.colorize(file, output=tmp_path / "b.png") == tmp_path / "b.png"
    assert photochrom.colorize(tmp_path / "a.png", output=str(tmp_path / "c.jpg")) == tmp_path / "c.jpg"
    with Image.open(tmp_path / "b.png") as first, Image.open(tmp_path / "c.jpg") as second:
        assert (first.format, second.format) == ("PNG", "JPEG")
    kept = (tmp_path / "c.jpg").read_bytes()
    with pytest.raises(OutputError):
        photochrom.colorize(tmp_path / "a.png", output=tmp_path / "c.jpg", options=Options(vividness=0))
    assert (tmp_path / "c.jpg").read_bytes() == kept
    photochrom.colorize(tmp_path / "a.png", output=tmp_path / "c.jpg", overwrite=True, options=Options(vividness=0))
    assert (tmp_path / "c.jpg").read_bytes() != kept


def test_what_cannot_be_done_with_what_is_given(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="mode 'rb'"):
        photochrom.colorize(io.StringIO("a"))  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="output is for a path"):
        photochrom.colorize(testdata.grey(8, 8), output=tmp_path / "a.png")  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="a picture in color"):
        photochrom.Colorizer.load().chroma(testdata.scene(40, 50))


@pytest.mark.parametrize("other", [None, 3, ["a.jpg"]])
def test_what_is_no_photograph(other: Any) -> None:
    with pytest.raises(OptionError, match="is no photograph: expected a path, bytes"):
        photochrom.colorize(other)


def given(content: bytes, folder: Path) -> list[Any]:
    (folder / "a.png").write_bytes(content)
    return [folder / "a.png", content, testdata.opened(content), np.asarray(testdata.opened(content))]


def test_a_color_photograph_is_refused_unless_asked(tmp_path: Path) -> None:
    content = testdata.file(testdata.scene(60, 80), "PNG")
    for photo in given(content, tmp_path):
        for on_color in ("skip", "error"):
            with pytest.raises(PhotoError, match=r"is in color already.*recolor"):
                photochrom.colorize(photo, options=Options(on_color=on_color))  # type: ignore[arg-type]
        assert not (tmp_path / "a.color.png").exists()
        photochrom.colorize(photo, options=Options(on_color="recolor"))
        (tmp_path / "a.color.png").unlink(missing_ok=True)


def test_errors_name_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(testdata.file(testdata.scene(60, 80), "PNG"))
    with pytest.raises(PhotoError, match=r"a\.png.* is in color already"):
        photochrom.colorize(path, options=Options(on_color="error"))
    path.write_bytes(testdata.file(Image.fromarray(testdata.grey(20, 20)).convert("LA").resize((9, 9)), "PNG"))
    image = Image.new("LA", (20, 20), (90, 128))
    path.write_bytes(testdata.file(image, "PNG"))
    with pytest.raises(OutputError, match=r"a\.png: .*transparent"):
        photochrom.colorize(path, options=Options(format="JPEG"))
    with pytest.raises(PhotoError, match=r"none\.jpg: cannot be read \(No such file"):
        photochrom.colorize(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="embedded null"):
        photochrom.colorize("a\0.jpg")


def test_a_format_makes_no_sense_without_a_file() -> None:
    for photo in (testdata.grey(20, 20), Image.fromarray(testdata.grey(20, 20))):
        with pytest.raises(OptionError, match="format is PNG, but an array or image is given back"):
            photochrom.colorize(photo, options=Options(format="PNG"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Options(vividness=2.5), r"vividness is 2\.5: expected 0 .* to 2"),
        (lambda: Options(vividness=-1), "vividness is -1"),
        (lambda: Options(vividness=float("nan")), "vividness is nan"),
        (lambda: Options(on_color="maybe"), "on_color is 'maybe': expected one of skip, recolor, error"),  # type: ignore[arg-type]
        (lambda: Options(format="GIF"), "format is 'GIF': expected one of JPEG, PNG"),  # type: ignore[arg-type]
        (lambda: Options(max_pixels=0), "max_pixels is 0"),
    ],
)
def test_options_out_of_range(make: Callable[[], Options], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def test_options_replace_those_of_the_colorizer() -> None:
    grey = testdata.grey(40, 40)
    faithful = photochrom.Colorizer.load(options=Options(vividness=0))
    assert np.array_equal(
        photochrom.colorize(grey, options=Options(vividness=2), colorizer=faithful),
        photochrom.colorize(grey, options=Options(vividness=2)),
    )
    assert np.array_equal(
        photochrom.colorize(grey, colorizer=faithful), photochrom.colorize(grey, options=Options(vividness=0))
    )


def test_the_limit_of_pixels() -> None:
    with pytest.raises(PhotoError, match="over the limit of 1,000"):
        photochrom.colorize(testdata.file(testdata.grey(40, 40), "PNG"), options=Options(max_pixels=1000))
