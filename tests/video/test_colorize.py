"""A film in, a film out: the same luma, sound, times and all else, and colors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from photochrom.errors import OptionError, OutputError
from photochrom.video.coloring import FrameHint, parse_hint
from tests.support import films, testdata
from tests.support.films import LOSSLESS, color

av = pytest.importorskip("av")


@pytest.mark.parametrize(
    ("pixels", "codec", "container", "result"),
    [
        ("yuv420p", "libx264", "mp4", "yuv420p"),
        ("yuvj420p", "libx264", "mp4", "yuv420p"),
        ("yuv420p10le", "libx264", "mkv", "yuv420p10le"),
        ("yuv444p", "libx264", "mov", "yuv420p"),
        ("gray", "libx264", "mp4", "yuv420p"),
        ("gray10le", "libx264", "mkv", "yuv420p10le"),
        ("yuv422p", "ffv1", "mkv", "yuv420p"),
        ("gray", "ffv1", "mkv", "yuv420p"),
        ("yuyv422", "rawvideo", "nut", "yuv420p"),
    ],
)
def test_luma_stays(tmp_path: Path, pixels: str, codec: str, container: str, result: str) -> None:
    planar = {"yuyv422": "yuv422p"}.get(pixels, pixels)
    deep = 4 if "10" in pixels else 1
    frames = [films.frame_of(luma.astype(np.uint16) * deep + deep // 2, planar) for luma in films.moving(6)]
    frames = [frame if planar == pixels else frame.reformat(format=pixels) for frame in frames]
    source = films.write(tmp_path / f"in.{container}", frames, codec=codec)
    report = color(source, tmp_path / f"out.{'mkv' if container == 'nut' else container}")
    before = [frame if planar == pixels else frame.reformat(format=planar) for frame in films.decoded(source)]
    after = films.decoded(tmp_path / f"out.{'mkv' if container == 'nut' else container}")
    assert (report.frames, len(after)) == (6, 6)
    for one, two in zip(before, after, strict=True):
        assert two.format.name.replace("j", "") == result
        one_luma, two_luma = films.planes(one)[0], films.planes(two)[0]
        assert np.array_equal(one_luma, two_luma)
        blue, red = films.planes(two)[1:]
        assert np.ptp(blue.astype(int)) > 4 * deep
        assert np.ptp(red.astype(int)) > 4 * deep
        full = (pixels.startswith(("yuvj", "gray")) and codec != "libx264") or pixels == "yuvj420p"
        assert two.color_range == (2 if full else two.color_range)


def test_sixteen_bits_by_ffv1(tmp_path: Path) -> None:
    lumas = [luma.astype(np.uint16) * 257 for luma in films.moving(4)]
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "gray16le") for luma in lumas], codec="ffv1")
    color(source, tmp_path / "out.mkv", codec_options=())
    after = films.decoded(tmp_path / "out.mkv")
    assert after[0].format.name == "yuv420p16le"
    assert all(np.array_equal(films.planes(frame)[0], luma) for frame, luma in zip(after, lumas, strict=True))


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(
    ("kind", "codec", "ending"),
    [
        ("mpeg2video", "libx264", "mkv"),
        ("mpeg2video", "libx264", "mp4"),
        ("libx264", "libx264", "mov"),
        ("libx264", "libx264", "ts"),
        ("libx264", "mpeg2video", "ts"),
        ("ffv1", "mpeg4", "avi"),
        ("ffv1", "ffv1", "mkv"),
    ],
)
def test_an_interlaced_film_stays_interlaced(tmp_path: Path, kind: str, codec: str, ending: str, order: str) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 12, codec=kind, fields=order)
    target = tmp_path / f"out.{ending}"
    report = color(source, target, codec=codec, codec_options=LOSSLESS if codec == "libx264" else ())
    assert report.notes[0] == "it is interlaced: the fields stay woven as they are"
    assert not any("progressive" in note for note in report.notes)
    before, after = films.decoded(source), films.decoded(target)
    assert [frame.interlaced_frame for frame in after] == [True] * 12
    top = [bool(films.filtered(frame, "select", r"eq(interlace_type\,TOPFIRST)")) for frame in after]
    assert top == [order == "tff"] * 12
    if codec in ("libx264", "ffv1"):
        assert all(np.array_equal(films.planes(a)[0], films.planes(b)[0]) for a, b in zip(before, after, strict=True))
    if ending == "mkv":
        with av.open(str(target)) as container:
            assert container.streams.video[0].codec_context.field_order == (2 if order == "tff" else 3)


@pytest.mark.parametrize(
    ("codec", "height", "ending"), [("libx265", 64, "mkv"), ("libx264", 62, "mp4"), ("libvpx-vp9", 64, "mkv")]
)
def test_a_note_says_where_fields_are_not_encoded(tmp_path: Path, codec: str, height: int, ending: str) -> None:
    frames = [films.frame_of(luma, "yuv420p") for luma in films.moving(4, height, 96)]
    source = films.write(tmp_path / "in.mkv", frames, codec="ffv1", fields="tff")
    report = color(source, tmp_path / f"out.{ending}", codec=codec, codec_options=())
    assert f"{codec} does not code its fields as such: the result is marked progressive" in report.notes
    with av.open(str(tmp_path / f"out.{ending}")) as container:
        assert not any(frame.interlaced_frame for frame in container.decode(video=0))
        assert container.streams.video[0].codec_context.field_order < 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p"])
def test_motion_jpeg_keeps_the_range(tmp_path: Path, pixels: str) -> None:
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, pixels) for luma in films.moving(6)])
    report = color(source, tmp_path / "out.mov", codec="mjpeg", crf=1, codec_options=())
    assert [note[:19] for note in report.notes] == (["JPEG has full range"] if pixels == "yuv420p" else [])
    for one, two in zip(films.decoded(source), films.decoded(tmp_path / "out.mov"), strict=True):
        assert two.color_range == (2 if pixels == "yuvj420p" else 1)
        assert np.abs(films.planes(one)[0].astype(int) - films.planes(two)[0]).mean() < 2


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "mpeg1video", "mjpeg"])
@pytest.mark.parametrize("ending", ["mkv", "avi"])
def test_older_codecs(tmp_path: Path, codec: str, ending: str) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 30)
    assert color(source, tmp_path / f"out.{ending}", codec=codec, codec_options=()).frames == 30
    after = films.decoded(tmp_path / f"out.{ending}")
    assert len(after) == 30
    assert min(np.ptp(films.planes(frame)[1].astype(int)) for frame in after) > 4


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        ({"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}, (64, 96)),
        ({"colorspace": 9, "color_primaries": 9, "color_trc": 14, "color_range": 2}, (64, 96)),
        ({"colorspace": 5, "color_primaries": 5, "color_trc": 6, "color_range": 1}, (64, 96)),
    ],
)
def test_tags_stay(tmp_path: Path, tags: dict[str, int], size: tuple[int, int]) -> None:
    frames = [films.frame_of(luma, "yuv420p") for luma in films.moving(3, *size)]
    source = films.write(tmp_path / "in.mp4", frames, tags=tags)
    color(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as after:
        context = after.streams.video[0].codec_context
        assert {name: getattr(context, name) for name in tags} == tags


def test_what_is_not_stated_is_tagged_as_players_take_it(tmp_path: Path) -> None:
    for height, matrix in ((64, 6), (576, 5), (720, 1)):
        source = films.write(
            tmp_path / f"{height}.mp4", [films.frame_of(luma, "yuv420p") for luma in films.moving(2, height, 96)]
        )
        color(source, tmp_path / f"{height}.mkv")
        with av.open(str(tmp_path / f"{height}.mkv")) as after:
            context = after.streams.video[0].codec_context
            assert (context.colorspace, context.color_primaries, context.color_range) == (matrix, matrix, 1)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_kept_and_honored(tmp_path: Path, rotation: int) -> None:
    upright = films.moving(4, 96, 64)
    turned = [np.ascontiguousarray(np.rot90(luma, -rotation // 90)) for luma in upright]
    films.write(tmp_path / "in.mp4", [films.frame_of(luma, "yuv420p") for luma in turned], rotation=rotation)
    films.write(tmp_path / "plain.mp4", [films.frame_of(luma, "yuv420p") for luma in upright])
    for name in ("in", "plain"):
        color(tmp_path / f"{name}.mp4", tmp_path / f"{name}.color.mp4")
    before, after = films.decoded(tmp_path / "in.mp4"), films.decoded(tmp_path / "in.color.mp4")
    assert {frame.rotation % 360 for frame in (*before, *after)} == {rotation % 360}
    # The same picture, whichever way it is stored, gets the same colors.
    for one, two in zip(after, films.decoded(tmp_path / "plain.color.mp4"), strict=True):
        for stored, straight in zip(films.planes(one)[1:], films.planes(two)[1:], strict=True):
            assert np.abs(np.rot90(stored, rotation // 90).astype(int) - straight).max() <= 3


def test_frames_in_color_are_left_alone(tmp_path: Path) -> None:
    lumas, rng = films.moving(24), np.random.default_rng(1)
    spots = [np.kron(rng.integers(60, 196, (4, 6)), np.ones((8, 8))).astype(np.uint8) for _ in range(2)]
    flat = np.full((32, 48), 128, np.uint8)
    frames = [films.frame_of(luma, "yuv420p", (flat, flat)) for luma in lumas[:12]]
    frames += [films.frame_of(255 - luma, "yuv420p", (spots[0], spots[1])) for luma in lumas[12:]]
    source = films.write(tmp_path / "in.mkv", frames)
    assert color(source, tmp_path / "out.mkv").kept == 12
    for index, frame in enumerate(films.decoded(tmp_path / "out.mkv")):
        same = [np.array_equal(plane, was) for plane, was in zip(films.planes(frame), films.planes(frames[index]), strict=True)]
        assert same == [True, index >= 12, index >= 12]
    assert color(source, tmp_path / "anew.mkv", coloring={"on_color": "recolor"}).kept == 0


def test_toned_film_is_colored(tmp_path: Path) -> None:
    sepia = (np.full((32, 48), 118, np.uint8), np.full((32, 48), 140, np.uint8))
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "yuv420p", sepia) for luma in films.moving(4)])
    assert color(source, tmp_path / "out.mkv").kept == 0


def test_blank_frames_stay_grey(tmp_path: Path) -> None:
    black = [np.full((64, 96), 16, np.uint8)] * 6
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "yuv420p") for luma in [*black, *films.moving(6)]])
    color(source, tmp_path / "out.mkv")
    spread = [np.ptp(films.planes(frame)[1]) for frame in films.decoded(tmp_path / "out.mkv")]
    assert spread[:6] == [0] * 6
    assert min(spread[6:]) > 4


def test_title_frames_stay_grey(tmp_path: Path) -> None:
    card = np.full((120, 160), 24, np.uint8)
    for line, text in enumerate(("Many years", "later", "...")):
        cv2.putText(card, text, (10, 40 + 30 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 220, 1, cv2.LINE_AA)
    lumas = [*films.moving(8, 120, 160), *[card] * 8, *[255 - luma for luma in films.moving(8, 120, 160, seed=2)]]
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "yuv420p") for luma in lumas])
    color(source, tmp_path / "out.mkv")
    spread = [max(np.ptp(plane) for plane in films.planes(frame)[1:]) for frame in films.decoded(tmp_path / "out.mkv")]
    assert spread[8:16] == [0] * 8
    assert min(spread[:8] + spread[16:]) > 4


def test_odd_sides(tmp_path: Path) -> None:
    lumas = films.moving(4, 63, 95)
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "gray") for luma in lumas], codec="ffv1")
    color(source, tmp_path / "out.mp4")
    after = films.decoded(tmp_path / "out.mp4")
    assert after[0].format.name.replace("j", "") == "yuv444p"
    assert all(np.array_equal(films.planes(frame)[0], luma) for frame, luma in zip(after, lumas, strict=True))
    color(source, tmp_path / "out.mkv", codec="ffv1", codec_options=())
    assert films.decoded(tmp_path / "out.mkv")[0].format.name == "yuv420p"


def test_a_gif_becomes_mp4(tmp_path: Path) -> None:
    films.write(tmp_path / "in.gif", [films.frame_of(luma, "gray") for luma in films.moving(5)], codec="gif")
    report = color(tmp_path / "in.gif", tmp_path / "out.mp4")
    assert report.frames == 5
    assert "its luma was computed" in report.notes[0]
    for one, two in zip(films.decoded(tmp_path / "in.gif"), films.decoded(tmp_path / "out.mp4"), strict=True):
        assert np.array_equal(one.reformat(format="rgb24").to_ndarray()[..., 1], films.planes(two)[0])


def test_hints_are_of_frames() -> None:
    hint = parse_hint(" 12:3,4=#AA5500")
    assert (hint.frame, hint.hint.x, hint.hint.y, hint.hint.color) == (12, 3, 4, "#AA5500")
    for text in ("3,4=#AA5500", "x:3,4=#AA5500", "1:3,4=no color", ""):
        with pytest.raises(OptionError, match="invalid hint"):
            parse_hint(text)


def test_what_does_not_fit_is_refused_before_the_work(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 3, extras=True)
    for options, text in (
        ({"codec": "libx999"}, "unknown encoder 'libx999'"),
        ({"codec": "aac"}, "encodes audio"),
        ({"codec": "ffv1", "crf": 20}, "no constant quality"),
        ({"codec": "ffv1", "preset": "slow", "codec_options": ()}, "no presets"),
        ({"codec_options": (("quality", "best"),)}, "has no option quality"),
        ({"codec_options": (("preset", "best"),)}, "no preset 'best'"),
    ):
        with pytest.raises(OptionError, match=text):
            color(source, tmp_path / "out.mkv", **options)
    with pytest.raises(OptionError, match=r"webm holds no audio of the kind aac \(stream 1\)"):
        color(source, tmp_path / "out.webm", codec_options=())
    with pytest.raises(OptionError, match=r"mxf does not take these streams, the picture by mpeg4 .*: write an \.mkv"):
        color(source, tmp_path / "out.mxf", codec="mpeg4", codec_options=(), dropped=(1, 2, 3))
    with pytest.raises(OptionError, match="does not name a container for film"):
        color(source, tmp_path / "out.txt")
    with pytest.raises(OptionError, match="lies outside the film"):
        color(source, tmp_path / "out.mkv", hints=(FrameHint(1, parse_hint("1:96,0=#FF0000").hint),))
    with pytest.raises(OutputError, match="would replace the film itself"):
        color(source, source, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    (tmp_path / "there.mkv").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        color(source, tmp_path / "there.mkv")
    assert (tmp_path / "there.mkv").read_bytes() == b"precious"


def test_deep_film_needs_a_codec_that_is_deep(tmp_path: Path) -> None:
    luma = films.moving(2)[0].astype(np.uint16) * 257
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, "gray16le")], codec="ffv1")
    with pytest.raises(OptionError, match="libx264 takes no 4:2:0 or 4:2:2 of 16 bits"):
        color(source, tmp_path / "out.mkv", codec="libx264")


def test_real_clips(tmp_path: Path) -> None:
    source = testdata.data("clips", "school.mkv")
    before = source.read_bytes()
    color(source, tmp_path / "out.mkv")
    one, two = films.decoded(source), films.decoded(tmp_path / "out.mkv")
    assert [frame.pts for frame in one] == [frame.pts for frame in two]
    assert all(np.array_equal(films.planes(a)[0], films.planes(b)[0]) for a, b in zip(one, two, strict=True))
    assert source.read_bytes() == before
