from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.colorizer import contact_sheet
from photochrom.colorizer.contact_sheet import BACKGROUND, GAP_PIXELS, SEAM_PIXELS
from photochrom.errors import DataError, OptionError, OutputError, PhotoError
from photochrom.evaluation.photographs import sheet

RED = (200, 30, 30)
CELL = 32


def redden(luma: np.ndarray) -> np.ndarray:
    """A predictor whose work is easy to find on the page."""
    return np.full((*luma.shape, 3), RED, np.uint8)


def opened(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB")).astype(int)


def save(path: Path, pixels: np.ndarray, *, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def colored(tmp_path: Path) -> Path:
    return save(tmp_path / "colored.png", data.astronaut()[::4, ::4])


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    return save(tmp_path / "grey.png", data.camera()[::4, ::4])


def cell(page: np.ndarray, index: int, *, left: int = GAP_PIXELS, top: int = GAP_PIXELS) -> np.ndarray:
    start = left + index * (CELL + SEAM_PIXELS)
    return page[top : top + CELL, start : start + CELL]


def reduced(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels).convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
    return np.asarray(image).astype(int)


def test_a_color_photograph_has_three_cells(colored: Path) -> None:
    page = opened(sheet([colored], redden, height=CELL))
    assert page.shape == (CELL + 2 * GAP_PIXELS, 3 * CELL + 2 * SEAM_PIXELS + 2 * GAP_PIXELS, 3)
    truth = data.astronaut()[::4, ::4]
    assert np.abs(cell(page, 0) - reduced(np.asarray(Image.fromarray(truth).convert("L")))).mean() < 4
    assert np.abs(cell(page, 1)[4:-4, 4:-4] - RED).max() < 20
    assert np.abs(cell(page, 2) - reduced(truth)).mean() < 8


def test_a_grey_photograph_has_two_cells(grey: Path) -> None:
    page = opened(sheet([grey], redden, height=CELL))
    assert page.shape[1] == 2 * CELL + SEAM_PIXELS + 2 * GAP_PIXELS
    assert np.abs(cell(page, 0) - reduced(data.camera()[::4, ::4])).mean() < 4
    assert np.abs(cell(page, 1)[4:-4, 4:-4] - RED).max() < 20


def test_a_toned_photograph_is_no_truth(tmp_path: Path) -> None:
    sepia = data.camera()[::4, ::4, None] * np.array([1, 0.85, 0.65])
    page = opened(sheet([save(tmp_path / "sepia.png", sepia.astype(np.uint8))], redden, height=CELL))
    assert page.shape[1] == 2 * CELL + SEAM_PIXELS + 2 * GAP_PIXELS


def test_the_predictor_gets_the_luma_at_full_size_and_upright(tmp_path: Path) -> None:
    pixels = data.astronaut()[:60, :40]
    seen = []

    def spy(luma: np.ndarray) -> np.ndarray:
        seen.append(luma)
        return redden(luma)

    sheet([save(tmp_path / "turned.png", pixels, orientation=6)], spy, height=CELL)
    expected = np.rot90(np.asarray(Image.fromarray(pixels).convert("L")), -1)
    np.testing.assert_array_equal(seen[0], expected)


def test_photographs_fill_rows_of_columns(colored: Path, grey: Path) -> None:
    page = opened(sheet([colored, grey, grey], redden, height=CELL, columns=2))
    three, two = 3 * CELL + 2 * SEAM_PIXELS, 2 * CELL + SEAM_PIXELS
    assert page.shape == (2 * CELL + 3 * GAP_PIXELS, three + two + 3 * GAP_PIXELS, 3)
    below = 2 * GAP_PIXELS + CELL
    assert np.abs(cell(page, 1, left=2 * GAP_PIXELS + three)[4:-4, 4:-4] - RED).max() < 20
    assert np.abs(cell(page, 1, top=below)[4:-4, 4:-4] - RED).max() < 20
    empty = page[below:, 2 * GAP_PIXELS + three :]
    assert np.abs(empty - BACKGROUND).max() < 20


def test_cells_have_one_height_and_a_panorama_is_made_to_fit(tmp_path: Path) -> None:
    tall = save(tmp_path / "tall.png", data.camera()[:200, :50])
    wide = save(tmp_path / "wide.png", data.camera()[:20, :500])
    assert opened(sheet([tall], redden, height=CELL)).shape[:2] == (CELL + 20, 2 * CELL // 4 + SEAM_PIXELS + 20)
    assert opened(sheet([wide], redden, height=CELL)).shape[:2] == (CELL + 20, 2 * CELL * 2 + SEAM_PIXELS + 20)


def test_folders_and_shards_are_opened(tmp_path: Path, grey: Path) -> None:
    for name in ("b/2.jpg", "a.tif", "c.webp"):
        save(tmp_path / "album" / name, data.camera()[::8, ::8])
    (tmp_path / "album" / "notes.txt").write_text("no photograph")
    with tarfile.open(tmp_path / "test-00.tar", "w") as tar:
        for index in range(5):
            tar.add(grey, f"{index}.png")
    calls = []

    def count(luma: np.ndarray) -> np.ndarray:
        calls.append(luma.shape)
        return redden(luma)

    sheet([tmp_path / "album", tmp_path / "test-00.tar", grey], count, height=CELL)
    assert len(calls) == 3 + 5 + 1
    calls.clear()
    sheet([tmp_path / "album", tmp_path / "test-00.tar", grey], count, height=CELL, limit=2)
    assert len(calls) == 2 + 2 + 1


def test_bad_sources_are_refused(tmp_path: Path, grey: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = tmp_path / "text.jpg"
    text.write_text("not a photograph")
    shard = tmp_path / "test-00.tar"
    shard.write_text("not a shard")
    for source, error, said in (
        (tmp_path / "missing.jpg", PhotoError, r"missing\.jpg cannot be read"),
        (tmp_path / "empty", PhotoError, "no photograph"),
        (text, PhotoError, r"text\.jpg cannot be read"),
        (shard, DataError, "not a readable shard"),
    ):
        with pytest.raises(error, match=said) as caught:
            sheet([grey, source], redden)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["height", "columns", "limit"])
def test_numbers_below_one_are_refused(grey: Path, name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} is 0"):
        sheet([grey], redden, **{name: 0})


def test_no_photographs_are_refused() -> None:
    with pytest.raises(OptionError, match="no photograph"):
        sheet([], redden)


def test_a_sheet_too_large_for_jpeg_is_refused(grey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "JPEG_LONGEST_PIXELS", 100)
    with pytest.raises(OutputError, match="3 photographs would be 86 x 136 pixels"):
        sheet([grey] * 3, redden, height=CELL, columns=1)
