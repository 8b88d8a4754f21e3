"""Measure film: the whole command against a plain transcode of the same file by PyAV with the same encoder and options.

``python bench/film.py IN OUT`` is that transcode. Both start from nothing.
"""

from __future__ import annotations

import statistics
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

WIDTH, HEIGHT, RATE = 640, 480, 24
SECONDS = 20
LONG_MINUTES = (2, 20)
"""Lengths of two films, small ones, whose memory is compared."""
WHOLE_MINUTES, WHOLE_WIDTH, WHOLE_HEIGHT = 120, 160, 120
"""Length of a whole film, and its frames: small, so that it is over in an hour."""
OPTIONS = {"crf": "18", "preset": "medium"}
"""What the command takes by itself."""
GRAIN = 2.0
"""Standard deviation of grain, of 255."""
OURS = [sys.executable, "-m", "photochrom", "video", "in.mp4", "-o", "ours.mp4", "--overwrite", "--quiet"]


def film(rounds: int):
    """Give the rows of the table; a round takes long, so that a fifth of the rounds are run."""
    from bench import batch, speed

    rounds = max(1, rounds // 5)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        frames = SECONDS * RATE
        write(root / "in.mp4", WIDTH, HEIGHT, frames)
        theirs = [sys.executable, str(Path(__file__).resolve()), "in.mp4", "theirs.mp4"]
        runs = speed.side_by_side(partial(batch.run, OURS, root), partial(batch.run, theirs, root), rounds=rounds)
        seconds = [statistics.median(run.seconds for run in side) for side in runs]
        processor = [1e3 * statistics.median(run.processor for run in side) / frames for side in runs]
        name = f"film of {frames} frames of {WIDTH} x {HEIGHT}, against a transcode"
        peaks = []
        for minutes in LONG_MINUTES:
            write(root / "in.mp4", 96, 64, minutes * 60 * RATE)
            peaks.append(batch.run(OURS, root).peak / 1e6)
    return [
        speed.Row(name, "s", *seconds, required_ratio=2.0, processor=processor[0], pillow_processor=processor[1]),
        speed.Row("the same, for each frame", "ms", 1e3 * seconds[0] / frames, required=1e3 / 24),
        speed.Row("the same, memory", "MB", max(run.peak for run in runs[0]) / 1e6, required=600),
        *(
            speed.Row(f"film of {minutes} minutes, memory", "MB", peak, required=600)
            for minutes, peak in zip(LONG_MINUTES, peaks, strict=True)
        ),
    ]


def whole(_: int):
    """Give the rows of a film of two hours, which is run once."""
    from bench import batch, speed

    frames = WHOLE_MINUTES * 60 * RATE
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "in.mp4", WHOLE_WIDTH, WHOLE_HEIGHT, frames)
        run = batch.run(OURS, root)
    name = f"film of {WHOLE_MINUTES} minutes, {frames:,} frames of {WHOLE_WIDTH} x {WHOLE_HEIGHT}"
    return [
        speed.Row(f"{name}, memory", "MB", run.peak / 1e6, required=600),
        speed.Row("the same, for each frame", "ms", 1e3 * run.seconds / frames, processor=1e3 * run.processor / frames),
    ]


def write(path: Path, width: int, height: int, frames: int) -> None:
    """Write a grey film: a slow walk over a photograph, and another every ten seconds."""
    import av
    import numpy as np

    from bench import pictures

    rng = np.random.default_rng(0)
    whole = pictures.color().convert("L").resize((width + 240, height + 120))
    scenes = [np.asarray(whole), np.asarray(whole)[::-1, ::-1]]
    grain = [rng.normal(0, GRAIN, (height, width)) for _ in range(16)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            place = number % 240
            luma = scenes[number // 240 % 2][place // 2 : place // 2 + height, place : place + width]
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes[1:]:
                np.frombuffer(plane, np.uint8)[:] = 128
            rows = np.frombuffer(frame.planes[0], np.uint8).reshape(height, -1)
            rows[:, :width] = np.clip(luma + grain[number % 16], 16, 235)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def transcode(source: str, target: str) -> None:
    """Decode and encode a film, and no more."""
    import av

    with av.open(source) as before, av.open(target, "w") as after:
        picture = before.streams.video[0]
        picture.thread_type = "AUTO"
        stream = after.add_stream("libx264", rate=picture.average_rate, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, picture.pix_fmt
        for frame in before.decode(picture):
            frame.pict_type = 0
            after.mux(stream.encode(frame))
        after.mux(stream.encode(None))


if __name__ == "__main__":
    transcode(*sys.argv[1:])
