"""The kind of a scene: it stays what it began as, and color fades."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from photochrom.photo.planes import luma_of
from photochrom.video.temporal import Kind, SceneKind, kind_of
from photochrom.video.temporal.scene_kind import FADE, PATIENCE, RUN

SIZE = (96, 128)


def card(text: str = "THE END", *, ground: int = 10, ink: int = 230) -> np.ndarray:
    page = np.full(SIZE, ground, np.uint8)
    cv2.putText(page, text, (8, 56), cv2.FONT_HERSHEY_SIMPLEX, 0.6, ink, 1, cv2.LINE_AA)
    return page


def pan(count: int, name: str = "coffee") -> list[np.ndarray]:
    luma = cv2.resize(luma_of(np.ascontiguousarray(getattr(data, name)())), (256, 192), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(luma[40 : 40 + SIZE[0], index : index + SIZE[1]]) for index in range(count)]


def shares(frames: list[np.ndarray], *, kinds: list[Kind] | None = None, piece: int = 72) -> list[float]:
    scene, found = SceneKind(), list[float]()
    kinds = kinds or [kind_of(frame) for frame in frames]
    for first in range(0, len(frames), piece):
        found += scene.shares(frames[first : first + piece], kinds[first : first + piece], begins=first == 0)
    return found


@pytest.mark.parametrize("piece", [8, 72])
def test_a_picture_that_looks_like_a_title_for_a_while_keeps_its_color(piece: int) -> None:
    kinds: list[Kind] = [*["picture"] * 10, *["title"] * 39, *["picture"] * 15]  # type: ignore[list-item]
    assert shares(pan(64), kinds=kinds, piece=piece) == [1] * 64


def test_a_title_that_looks_like_a_picture_for_a_while_stays_grey() -> None:
    kinds: list[Kind] = [*["title"] * 24, *["picture"] * 25, *["title"] * 15]  # type: ignore[list-item]
    assert shares([card()] * 64, kinds=kinds) == [0] * 64


def test_color_fades_where_a_scene_becomes_another_kind() -> None:
    to_title = shares([*pan(30), *[card()] * 70])
    assert to_title[: 30 + RUN - 1] == [1] * (30 + RUN - 1)
    assert to_title[-1] == 0
    to_picture = shares([*[card()] * 30, *pan(70)])
    assert to_picture[: 30 + RUN - 1] == [0] * (30 + RUN - 1)
    assert to_picture[-1] == 1
    for found in (to_title, to_picture):
        assert max(np.abs(np.diff(found))) <= 1 / FADE + 1e-9


def test_a_scene_that_was_taken_for_titles_becomes_a_picture_in_the_end() -> None:
    kinds: list[Kind] = [*["title"] * 24, *["picture"] * 150]  # type: ignore[list-item]
    found = shares(pan(100) + pan(100)[::-1][:74], kinds=kinds)
    assert found[24 + PATIENCE - 2] == 0
    assert found[-1] == 1


def test_the_first_frames_of_a_fade_do_not_decide() -> None:
    faded = [(card() * light).astype(np.uint8) for light in np.linspace(0.02, 1, 24)]
    assert set(shares(faded)) == {0}
    faded = [(frame * light).astype(np.uint8) for frame, light in zip(pan(24), np.linspace(0.02, 1, 24), strict=True)]
    assert shares(faded)[-1] == 1


def test_an_empty_sky_goes_on_with_the_color_of_its_scene_and_black_has_none() -> None:
    sky = [np.full(SIZE, 200, np.uint8)] * 4
    plane = sky[0].copy()
    plane[40:50, 40:60] = 30
    black = [np.zeros(SIZE, np.uint8)] * 3
    frames = [*black, plane, plane, *sky, plane, *black, plane]
    kinds = [kind_of(frame).replace("title", "picture") for frame in frames]
    assert kinds == [*["blank"] * 3, *["picture"] * 2, *["blank"] * 4, "picture", *["blank"] * 3, "picture"]
    assert shares(frames, kinds=kinds) == [0, 0, 0, *[1] * 7, 0, 0, 0, 1]  # type: ignore[arg-type]


def test_bright_areas_at_the_edge_are_no_strokes() -> None:
    for ground, ink in ((10, 230), (240, 20)):
        page = card(ground=ground, ink=ink)
        assert kind_of(page) == "title"
        scratched = page.copy()
        scratched[:, 100] = ink
        assert kind_of(scratched) == "title"
        for column in range(4, 124, 8):  # bars that a fence before a dark room makes
            page[:20, column : column + 2] = ink
        assert kind_of(page) == "picture"
