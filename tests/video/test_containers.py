"""Containers: what is copied of a film, and when each frame is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from photochrom.errors import OptionError
from photochrom.video import shots
from photochrom.video.media.mux import CONTAINERS
from tests.support import films, testdata
from tests.support.films import LOSSLESS, color


@pytest.mark.parametrize("container", ["mkv", "mp4", "webm"])
def test_all_else_is_copied(tmp_path: Path, container: str) -> None:
    source = films.grey_film(
        tmp_path / f"in.{container}", extras=True, codec="libvpx-vp9" if container == "webm" else "libx264"
    )
    target = tmp_path / f"out.{container}"
    lossless = (("lossless", "1"), ("cpu-used", "8")) if container == "webm" else LOSSLESS
    assert color(source, target, codec_options=lossless).notes == ()
    assert films.times(target) == films.times(source)
    assert len(films.packets(source, "audio")) > 40
    assert films.packets(target, "audio") == films.packets(source, "audio")
    # The writer of mp4 ends each subtitle by an empty one.
    said = [[packet for packet in films.packets(path, "subtitle") if packet[1]] for path in (source, target)]
    assert said[0] == said[1]
    assert bool(said[0]) == (container != "webm")
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
        assert after.chapters() == before.chapters() != []
        assert after.metadata["title"] == "A walk"
        comment = next(value for key, value in after.metadata.items() if key.lower() == "comment")
        assert "Colors are a machine's guess: Photochrom" in comment
        assert "compositeWithTrainedAlgorithmicMedia" in comment
        for one, two in zip(before.streams, after.streams, strict=True):
            assert two.metadata.get("language") == one.metadata.get("language")
            assert two.disposition == one.disposition
            if one.type == "attachment":
                assert (two.name, two.mimetype, two.data) == (one.name, one.mimetype, one.data)


def test_metadata_of_no_common_kind_stay(tmp_path: Path) -> None:
    given = {"title": "A walk", "comment": "Reel 3", "archive_box": "17b"}
    source = films.grey_film(tmp_path / "in.mkv", metadata=given, count=3)
    color(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as after:
        found = {key.lower(): value for key, value in after.metadata.items()}
    assert (found["title"], found["archive_box"]) == ("A walk", "17b")
    assert found["comment"].startswith("Reel 3\nColors are a machine's guess")


@pytest.mark.parametrize(
    ("container", "unit"),
    [
        ("mkv", 1000),
        *((container, unit) for container in ("mp4", "mov") for unit in (90_000, 30_000, 600, 1000)),
    ],
)
def test_a_variable_frame_rate_stays(tmp_path: Path, container: str, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIECE_FRAMES": 4, "SEGMENT_FRAMES": 8, "SEGMENT_LEAST": 4}.items():
        monkeypatch.setattr(shots, name, value)
    steps = np.random.default_rng(0).integers(5 * unit // 1000, 200 * unit // 1000, 40)
    times = np.cumsum(steps).tolist()
    source = films.grey_film(
        tmp_path / f"in.{'mkv' if container == 'mkv' else 'nut'}", 40, times=times, time_base=Fraction(1, unit)
    )
    target = tmp_path / f"out.{container}"

    def stop(done: int, _: int | None) -> None:
        if done == 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        color(source, target, codec_options=(("preset", "medium"),), progress=stop)
    report = color(source, target, codec_options=(("preset", "medium"),))
    assert (report.resumed, report.notes) == (16, ())
    assert [time * unit for time in films.times(source)] == times
    assert films.times(target) == films.times(source)
    with av.open(str(target)) as after:
        packets = [packet for packet in after.demux(video=0) if packet.size]
    assert any(packet.pts != packet.dts for packet in packets), "no frame is decoded out of turn"


@pytest.mark.parametrize("ending", CONTAINERS)
def test_every_container_takes_a_film(tmp_path: Path, ending: str) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 12)
    target = tmp_path / f"out{ending}"
    report = color(source, target, codec_options=())
    after = films.decoded(target)
    assert (report.frames, len(after)) == (12, 12)
    assert min(np.ptp(films.planes(frame)[1].astype(int)) for frame in after) > 4
    found = films.times(target)
    assert found == sorted(set(found))
    moved = max(abs(one - two) for one, two in zip(found, films.times(source), strict=True))
    assert bool(report.notes) >= (moved > 0), "the note says that time stamps move"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", target.name]


@pytest.mark.parametrize("ending", ["ts", "avi"])
def test_sound_that_begins_before_the_picture_stays_in_time(tmp_path: Path, ending: str) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 24, times=[12 + number for number in range(24)], extras=True)
    target = tmp_path / f"out.{ending}"
    report = color(source, target, codec_options=(), dropped=(2, 3))
    assert report.notes == (f"{CONTAINERS['.' + ending]} has a clock of its own: time stamps are moved or rounded",)
    between = [films.times(path)[-1] - films.packets(path, "audio")[0][0] for path in (source, target)]
    assert abs(between[0] - between[1]) < Fraction(1, 24)


@pytest.mark.parametrize(("sound", "ending"), [("pcm_s16le", "mxf"), ("mp2", "ts"), ("mp2", "avi")])
def test_sound_of_tape_and_disc(tmp_path: Path, sound: str, ending: str) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 24, extras=True, sound_codec=sound)
    target = tmp_path / f"out.{ending}"
    assert color(source, target, codec_options=(), dropped=(2, 3)).frames == 24
    assert len(films.decoded(target)) == 24
    length = [films.packets(path, "audio")[-1][0] - films.packets(path, "audio")[0][0] for path in (source, target)]
    assert abs(length[0] - length[1]) < Fraction(1, 10)


def test_avi_of_a_film_that_begins_late(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 12, times=[24 * 30_000 + number for number in range(12)])
    assert color(source, tmp_path / "out.avi", codec_options=()).frames == 12
    assert films.times(tmp_path / "out.avi") == [Fraction(number, 24) for number in range(12)]


def test_avi_counts_frames_where_the_rate_varies(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(5, 200, 40)).tolist()
    source = films.grey_film(tmp_path / "in.mkv", 40, times=times, time_base=Fraction(1, 1000))
    report = color(source, tmp_path / "out.avi", codec_options=())
    found = films.times(tmp_path / "out.avi")
    assert (len(found), len(set(found))) == (40, 40)
    assert abs((found[-1] - found[0]) - Fraction(times[-1] - times[0], 1000)) < Fraction(1, 4)
    assert report.notes == ("avi has a clock of its own: time stamps are moved or rounded",)


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"preset": "veryfast"}), ("mpeg4", {"bf": "2"})])
def test_avi_whose_frames_are_decoded_out_of_turn(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    source = films.grey_film(tmp_path / "in.avi", 40, codec=codec, options=options)
    with av.open(str(source)) as before:
        packets = [packet for packet in before.demux(video=0) if packet.size]
    report = color(source, tmp_path / "out.mkv")
    assert (report.frames, report.problems) == (40, ())
    begin = packets[0].dts * packets[0].time_base
    assert [round((time - begin) * 24) for time in films.times(tmp_path / "out.mkv")] == list(range(40))
    for one, two in zip(films.decoded(source), films.decoded(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(films.planes(one)[0], films.planes(two)[0])


def with_cover(source: Path, target: Path, picture: bytes) -> Path:
    """Copy the picture of a film and give it a cover."""
    unit = Fraction(1, 90_000)
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        cover = None
        if target.suffix == ".mkv":
            out.add_attachment("front.jpg", "image/jpeg", picture)
        else:
            cover = out.add_mux_stream("mjpeg", rate=1, time_base=unit, width=60, height=40)
            cover.disposition = av.stream.Disposition.attached_pic
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
        if cover:
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, unit
            out.mux(packet)
    return target


@pytest.mark.parametrize(("before", "after"), [("mp4", "mp4"), ("mkv", "mkv"), ("mp4", "mkv"), ("mkv", "mp4")])
def test_a_cover_picture_stays_one(tmp_path: Path, before: str, after: str) -> None:
    picture = testdata.file(testdata.scene(40, 60), "JPEG")
    source = with_cover(films.grey_film(tmp_path / "plain.mp4", 4), tmp_path / f"in.{before}", picture)
    assert not [note for note in color(source, tmp_path / f"out.{after}").notes if "picture" in note]
    for path in (source, tmp_path / f"out.{after}"):
        with av.open(str(path)) as film:
            _, cover = film.streams.video
            assert int(cover.disposition) == av.stream.Disposition.attached_pic
            assert [bytes(packet) for packet in film.demux(cover) if packet.size] == [picture]
            if before == after == "mkv":
                assert (cover.metadata["filename"], cover.metadata["mimetype"]) == ("front.jpg", "image/jpeg")


def test_a_cover_picture_that_would_be_lost_is_refused_or_left_out(tmp_path: Path) -> None:
    picture, plain = testdata.file(testdata.scene(40, 60), "JPEG"), films.grey_film(tmp_path / "plain.mkv", 4)
    source = with_cover(plain, tmp_path / "in.mkv", picture)
    for ending in ("mov", "avi"):
        with pytest.raises(OptionError, match=rf"{ending} holds no cover picture \(stream 1\): .* \(--drop 1\)"):
            color(source, tmp_path / f"out.{ending}", codec_options=())
    assert color(source, tmp_path / "out.mov", dropped=(1,)).frames == 4
    with av.open(str(source)) as film, av.open(str(tmp_path / "boxed.mkv"), "w") as out:
        out.metadata["archive_box"] = "17b"
        out.add_attachment("front.jpg", "image/jpeg", picture)
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(OptionError, match="mp4 holds no cover picture beside metadata of uncommon names"):
        color(tmp_path / "boxed.mkv", tmp_path / "out.mp4")


def test_streams_can_be_dropped(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 3, extras=True)
    color(source, tmp_path / "out.mp4", dropped=(2, 3))
    with av.open(str(tmp_path / "out.mp4")) as after:
        assert [stream.type for stream in after.streams if stream.type != "data"] == ["video", "audio"]
