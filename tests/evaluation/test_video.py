"""Measure film: on clips, which need PyAV, and on camera moves over photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from photochrom.cli import main
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Card
from photochrom.errors import DataError, OptionError
from photochrom.evaluation import video
from photochrom.evaluation.video import MOVES, clip
from photochrom.evaluation.video_metrics import TRUTH, compare
from tests.support.testdata import scene


class Flickering:
    """A model whose chroma is another for each frame, whatever it is."""

    card = Card("flickering", "none", 32, 4, False, ((1, 1), (1, 1), (1, 1)), (0, 0), {})

    def answer(self, luma: np.ndarray, *, vividness: float, hints: None, palette: None) -> tuple[np.ndarray, None]:
        assert hints is palette is None
        assert vividness == 1
        random = np.random.default_rng(int(luma.sum() * 1000))
        chroma = random.normal(0, 0.06, (1, 2, 1, 1)).astype(np.float32)
        return np.broadcast_to(chroma, (1, 2, luma.shape[2] // 4, luma.shape[3] // 4)).copy(), None


@pytest.fixture
def colorizer() -> Colorizer:
    return Colorizer(Flickering(), Options())  # type: ignore[arg-type]


def test_moves_over_photographs_are_measured(colorizer: Colorizer, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "FRAMES", 8)
    monkeypatch.setattr("photochrom.evaluation.video.MOVE_SIDE", 64)
    seen: list[tuple[int, int]] = []
    tables = video.measure(colorizer, [prepared], limit=1, progress=lambda done, total: seen.append((done, total)))
    assert [table.name for table in tables] == [*MOVES, "all moves"]
    assert [table.films for table in tables] == [1, 1, 1, 1, 1, 5]
    assert seen == [(done, 5) for done in range(1, 6)]
    for table in tables[:2]:
        alone, steady, truth = table.rows
        assert (alone.name, steady.name, truth.name) == (video.PER_FRAME, video.STEADY, TRUTH)
        assert steady.cdc.value < 0.7 * alone.cdc.value, table.name
        assert steady.excess is not None and steady.excess.value < 0.5, table.name
        assert steady.warp_error.value < 0.5 * alone.warp_error.value, table.name
        assert truth.cdc_ratio.value == 1
        assert truth.de2000.value == 0
    cells = video.rows(tables)
    assert {len(row) for row in cells} == {len(video.COLUMNS)}
    assert "(" not in "".join(cells[0][3:]), "one film has no interval"
    assert "to" in cells[-3][3]
    lines = video.markdown(tables, title="flickering").splitlines()
    assert lines[0] == "flickering:"
    assert [line.count("|") for line in lines[2:]] == [len(video.COLUMNS) + 1] * (2 + len(cells))
    assert cells[4][3] in lines[8]
    found = json.loads(video.to_json(tables, model="flickering", split="test"))
    assert list(found["films"]) == [*MOVES, "all moves"]
    assert found["films"]["pan"]["colored"][video.STEADY]["cdc"]["value"] == tables[0].rows[1].cdc.value


def test_the_model_in_the_package_becomes_steadier_and_stays_as_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photochrom.evaluation.video.MOVE_SIDE", 128)
    colorizer, found = Colorizer.load(threads=1), []
    for name in ("astronaut", "chelsea", "coffee"):
        film = clip([np.ascontiguousarray(getattr(data, name)()[:300, :400])], "pan", frames=24)
        found.append(video.watch(film, colorizer, knobs=video.Steadiness()))
    alone, steady, truth = compare(found, video.PER_FRAME)
    assert (alone.name, steady.name, truth.name) == (video.PER_FRAME, video.STEADY, TRUTH)
    assert steady.excess is not None and steady.excess.value < 0.5
    assert steady.warp_error.value < alone.warp_error.value
    assert steady.psnr.value > alone.psnr.value - 0.3
    assert steady.colorfulness_ratio.value > 0.8 * alone.colorfulness_ratio.value, "or grey would do"


def test_a_clip_is_measured_as_its_frames_are(colorizer: Colorizer, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="clips are read with PyAV: pip install 'photochrom[video]'")
    path = tmp_path / "clip.mkv"
    wide = scene(96, 200, seed=4)
    frames = [wide[:, 2 * index : 2 * index + 128] for index in range(20)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    (table,) = video.measure(colorizer, [path])
    assert (table.name, table.films) == ("clip.mkv", 1)
    same = video.watch(((frame, None) for frame in frames), colorizer, knobs=video.Steadiness())
    for row in table.rows:
        assert row.cdc.value == pytest.approx(same[row.name].cdc)
        assert row.psnr.value == pytest.approx(same[row.name].psnr)


def test_what_is_not_there_is_said(colorizer: Colorizer, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.mp4: does not exist"):
        video.measure(colorizer, [tmp_path / "gone.mp4"])
    with pytest.raises(DataError, match="nothing to measure"):
        video.measure(colorizer, [])
    with pytest.raises(OptionError, match="limit of 0"):
        video.measure(colorizer, [prepared], limit=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data FOLDER, or --video CLIP"),
        (["--video", "a.mp4", "--protocol", "hints"], "drop one of them"),
        (["--video", "nowhere/a.mp4"], "nowhere/a.mp4: does not exist"),
    ],
)
def test_the_command_refuses(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", *arguments])
    assert left.value.code
    assert said in " ".join(capsys.readouterr().err.split())
