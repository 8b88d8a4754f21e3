"""Measure how steady film comes out, and how near to its true colors: on clips, and on camera moves over photographs.

The truth is the film in color, the input is its luma. Each frame by itself is what a colorizer of photographs makes of it;
beside it stands the film as `photochrom.video.temporal` colors it, as it ships.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom import color
from photochrom.color import Float, Picture
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.upsample import upsample
from photochrom.errors import DataError, FilmError, OptionError
from photochrom.evaluation.metrics import Value
from photochrom.evaluation.video_metrics import Comparison, FilmScores, Watch, compare
from photochrom.photo import convert
from photochrom.photo.photo import Photo
from photochrom.photo.planes import luma_of
from photochrom.training.data.shards import Split, evenly, members, shards
from photochrom.video.temporal import Carried, Cuts, Kind, SceneKind, Steadiness, color_segment, half, kind_of, small

Progress = Callable[[int, int], None]

Move = Literal["pan", "zoom", "cuts", "fades", "grain"]
MOVES: tuple[Move, ...] = get_args(Move)

WINDOW = 0.72
"""Height and width of what the camera shows, as a share of the photograph's."""
CLOSEST = 0.6
"""The same, of the closest view of a zoom, as a share of that window."""
MOVE_SIDE = 192
"""Short side of a frame in pixels."""
GRAIN = 0.05
"""Standard deviation of film grain in luma of [0, 1], at mid-grey."""
FADE = 0.25
"""Share of a scene that it takes to come out of black, and to go into it."""

PER_FRAME, STEADY = "each frame by itself", "steady"
SIDE = 240
"""Short side in pixels that clips are brought down to: the network's colors have no more detail, and it saves hours."""
SEGMENT = 72
"""Frames that are colored together, as `photochrom video` does it."""
FILMS = 4
"""Films made for each move, unless asked for more or fewer."""
SCENES = {"cuts": 3, "fades": 3}
"""Photographs in a film of a move; in one of any other there is one."""
FRAMES = 24
"""Length of a scene of several, and half the length of one that is alone."""


@dataclass(frozen=True)
class Table:
    """Hold the figures of one clip, or of all films of a kind."""

    name: str
    films: int
    rows: tuple[Comparison, ...]


def measure(
    colorizer: Colorizer,
    sources: Sequence[Path],
    *,
    split: Split = "test",
    limit: int | None = None,
    knobs: Steadiness | None = None,
    progress: Progress | None = None,
) -> list[Table]:
    """Measure clips, and camera moves over photographs.

    Args:
        colorizer: colors both ways.
        sources: clips in color, and prepared folders or shards, whose photographs are filmed.
        split: which shards.
        limit: films of each move over photographs, `FILMS` by default.
        knobs: how steady; none is as it ships.
        progress: called with the films done and their number after each.

    Returns:
        A table for each clip and each move; and of all clips, or all moves, where there are several.

    Raises:
        OptionError: there are no sources, the limit is below 1, or a clip has no scene of five frames.
        FilmError: a clip cannot be read.
        DataError: a path does not exist, there are no such shards, or one cannot be read.
    """
    missing = [path for path in sources if not path.exists()]
    if missing or not sources:
        got = f"{missing[0]}: does not exist" if missing else "nothing to measure"
        raise DataError(f"{got}; name clips, or folders made by `photochrom prepare`")
    clips = [path for path in sources if path.is_file() and path.suffix != ".tar"]
    folders = [path for path in sources if path not in clips]
    films: list[tuple[str, str, Iterable[tuple[Picture, bool | None]]]] = [("clips", path.name, _read(path)) for path in clips]
    films += [("moves", move, film) for move, film in (_moves(folders, split, limit) if folders else ())]
    found: dict[str, dict[str, list[dict[str, FilmScores]]]] = {}
    for done, (kind, name, film) in enumerate(films, 1):
        scores = watch(film, colorizer, knobs=knobs or Steadiness())
        found.setdefault(kind, {}).setdefault(name, []).append(scores)
        if progress:
            progress(done, len(films))
    tables = []
    for kind, named in found.items():
        together = {f"all {kind}": [rows for each in named.values() for rows in each]} if len(named) > 1 else {}
        tables += [Table(name, len(each), tuple(compare(each, PER_FRAME))) for name, each in (named | together).items()]
    return tables


def watch(film: Iterable[tuple[Picture, bool | None]], colorizer: Colorizer, *, knobs: Steadiness) -> dict[str, FilmScores]:
    """Color a film from its luma, frame by frame and steadily, and measure both and the truth.

    Args:
        film: ``(H, W, 3)`` uint8 frames, and whether a scene starts with each; where that is None, it is as found.
        colorizer: how to color.
        knobs: how steady.
    """
    found, cuts, scene = Watch(), Cuts(), SceneKind()
    before: Carried | None = None
    segment: list[tuple[Picture, NDArray[np.uint8], bool]] = []
    frames: list[NDArray[np.uint8]] = []
    kinds: list[Kind] = []

    def finish() -> Carried:
        shares = scene.shares([half(frame) for frame in frames], kinds, begins=before is None)
        lows, after = color_segment(frames, shares, colorizer, knobs=knobs, before=before, hints={})
        for (truth, luma, starts), low in zip(segment, lows, strict=True):
            ways = {PER_FRAME: colorizer.small_chroma(luma), STEADY: low}
            found.add(truth, {name: _laid(luma, chroma) for name, chroma in ways.items()}, luma=luma, cut=starts)
        for each in (segment, frames, kinds):
            each.clear()
        return after

    for truth, starts in film:
        luma = luma_of(truth)
        frame = small(luma, colorizer)
        kind = kind_of(frame)
        cut = cuts.push(frame, kind)
        if segment and (cut or len(segment) == SEGMENT):
            before = finish()
        before = None if cut else before
        segment.append((truth, luma, cut if starts is None else starts))
        frames.append(frame)
        kinds.append(kind)
    if segment:
        finish()
    return found.rows()


def _laid(luma: NDArray[np.uint8], chroma: Float) -> Picture:
    """Lay chroma over luma as film stores it, at half size."""
    return convert.to_array(Photo(luma=luma), *upsample(chroma, luma, step=2))


def _read(path: Path) -> Iterator[tuple[Picture, None]]:
    """Decode a clip, brought down to `SIDE`."""
    from photochrom.video.media import decode, probe

    traits = probe.examine(path)
    losses = decode.Losses(traits)
    with probe.opened(path) as container:
        for frame in probe.decoded(container, probe.picture_stream(container, traits), losses.add):
            picture = decode.upright_frame(frame, traits)
            scale = min(SIDE / min(picture.shape[:2]), 1)
            size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
            yield np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX)), None
    if losses.lines():
        raise FilmError(f"{path}: {losses.lines()[0]}; measure whole clips alone")


def _moves(folders: Sequence[Path], split: Split, limit: int | None) -> Iterator[tuple[Move, Iterator[tuple[Picture, bool]]]]:
    """Film photographs, each for one film alone as long as there are enough."""
    if limit is not None and limit < 1:
        raise OptionError(f"a limit of {limit} films leaves nothing to do; give 1 or more")
    count = FILMS if limit is None else limit
    wanted = count * sum(SCENES.get(move, 1) for move in MOVES)
    listed = [member for paths in shards(folders, split).values() for member in members(paths)]
    chosen = evenly(listed, wanted)
    place = 0
    for index in range(count):
        for move in MOVES:
            scenes = SCENES.get(move, 1)
            here = [chosen[(place + each) % len(chosen)] for each in range(scenes)]
            place += scenes
            yield move, clip([member.read() for member in here], move, frames=FRAMES * max(scenes, 2), seed=index)


COLUMNS = (
    "film",
    "films",
    "colored",
    "PSNR dB",
    "gain dB",
    "dE2000",
    "of true colorfulness",
    "CDC x 1000",
    "of the truth's",
    "excess left",
    "warp error x 1000",
)


def rows(tables: Sequence[Table]) -> list[tuple[str, ...]]:
    """Return the cells of a printed table under `COLUMNS`, with 95 % intervals over films where there are several."""

    def cell(value: Value | None, table: Table, *, scale: float = 1, digits: int = 2) -> str:
        if value is None:
            return ""
        texts = [f"{scale * each:.{digits}f}" for each in (value.value, value.low, value.high)]
        return texts[0] if table.films == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"

    return [
        (
            table.name,
            str(table.films),
            row.name,
            cell(row.psnr, table),
            cell(row.psnr_gain, table),
            cell(row.de2000, table),
            cell(row.colorfulness_ratio, table),
            cell(row.cdc, table, scale=1000),
            cell(row.cdc_ratio, table),
            cell(row.excess, table),
            cell(row.warp_error, table, scale=1000),
        )
        for table in tables
        for row in table.rows
    ]


def markdown(tables: Sequence[Table], *, title: str) -> str:
    """Return a line that says what was measured and a table of Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in (COLUMNS, ["---"] * len(COLUMNS), *rows(tables))]
    return "\n".join([f"{title}:", "", *lines, ""])


def to_json(tables: Sequence[Table], *, model: str, split: Split) -> str:
    """Return the tables as one JSON object on one line."""
    content: Mapping[str, Any] = {
        "model": model,
        "split": split,
        "films": {
            table.name: {"films": table.films, "colored": {row.name: asdict(row) for row in table.rows}} for table in tables
        },
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def clip(photographs: Sequence[Picture], move: Move, *, frames: int = 48, seed: int = 0) -> Iterator[tuple[Picture, bool]]:
    """Film photographs.

    Args:
        photographs: ``(H, W, 3)`` uint8, of which pan, zoom and grain take the first, cuts and fades each for one scene.
        move: what the camera does; with "grain" it pans slowly, over grain that is new in each frame.
        frames: of the whole clip, at least 8 for each scene.
        seed: of the path and the grain.

    Yields:
        ``(h, w, 3)`` uint8 frames of ``MOVE_SIDE`` pixels on the short side, and whether one starts a scene.

    Raises:
        OptionError: there are no photographs, or too few frames for them.
    """
    scenes = photographs if move in ("cuts", "fades") else photographs[:1]
    if not scenes or frames < 8 * len(scenes):
        raise OptionError(f"{frames} frames of {len(scenes)} photographs make no film: give 8 frames or more for each")
    height, width = scenes[0].shape[:2]
    scale = MOVE_SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    random = np.random.default_rng((seed, MOVES.index(move)))
    for scene, photograph in enumerate(scenes):
        count = (scene + 1) * frames // len(scenes) - scene * frames // len(scenes)
        ends = random.random((2, 2))
        for index in range(count):
            along = index / (count - 1)
            place = ends[0] + (ends[1] - ends[0]) * along * (0.3 if move == "grain" else 1)
            near = WINDOW * (1 - (1 - CLOSEST) * along if move == "zoom" else 1)
            luma, chroma = color.split(_view(photograph, place, near, size))
            if move == "fades":
                light = min(1, along / FADE, (1 - along) / FADE)
                luma, chroma = luma * np.float32(light), chroma * np.float32(light)
            if move == "grain":
                strength = GRAIN * 4 * luma * (1 - luma)
                luma = (luma + strength * _grain(random, luma.shape)).clip(0, 1)
                chroma *= color.headroom(luma, *chroma, minimum=np.minimum, maximum=np.maximum)
            yield color.join(luma, chroma), index == 0


def _view(photograph: Picture, place: np.ndarray, share: float, size: tuple[int, int]) -> Picture:
    """Cut a window out of a photograph, with fractions of a pixel, and bring it to a size."""
    height, width = photograph.shape[:2]
    high, wide = height * share, width * share
    top, left = place * (height - high, width - wide)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = np.array([[wide / size[0], 0, left], [0, high / size[1], top]], np.float32)
    return np.asarray(cv2.warpAffine(photograph, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _grain(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Make noise of deviation 1 whose grains are about two pixels wide."""
    noise = cv2.GaussianBlur(random.standard_normal(shape).astype(np.float32), (0, 0), 0.7, borderType=cv2.BORDER_REFLECT)
    return np.asarray(noise / noise.std(), np.float32)
