"""Convert between what Photochrom works with and what a guest's network takes and gives: pure functions on arrays."""

from __future__ import annotations

import cv2
import numpy as np

from photochrom import color
from photochrom.color import Float
from photochrom.colorizer.guests.spec import CHANNELS, Guest


def shown(guest: Guest, luma: Float) -> Float:
    """Make a network's input of ``(H, W)`` luma in [0, 1].

    Returns:
        ``(1, C, H, W)`` float32.
    """
    values = color.lightness(luma) if guest.shows == "lightness" else luma
    planes = np.stack([values] * CHANNELS[guest.shows])
    planes = (np.float32(guest.factor) * planes - _column(guest.mean)) / _column(guest.deviation)
    return np.ascontiguousarray(planes[None], np.float32)


def shown_hints(guest: Guest, hints: Float | None, luma: Float) -> tuple[Float, Float]:
    """Make the two inputs of a network that takes hints.

    Args:
        guest: a network of which ``hint_ab`` is named.
        hints: ``(3, H, W)``: Cb, Cr and 1 at points whose color is given, 0 elsewhere; None gives no point.
        luma: ``(H, W)`` in [0, 1]: the hinted colors are converted at it.

    Returns:
        ``(1, 2, H, W)`` a and b times ``hint_factor``, 0 elsewhere, and the ``(1, 1, H, W)`` mask less ``hint_offset``.
    """
    if hints is None:
        hints = np.zeros((3, *luma.shape), np.float32)
    mask = hints[2:]
    rgb = np.stack(color.ycbcr_to_rgb(luma, hints[0], hints[1])).clip(0, 1)
    ab = np.float32(guest.hint_factor) * color.rgb_to_lab(rgb)[1:] * mask
    return ab[None].astype(np.float32), (mask - np.float32(guest.hint_offset))[None].astype(np.float32)


def channels(guest: Guest) -> tuple[int, ...]:
    """Say how many channels a guest's answer may have."""
    return {"ab": (2,), "rgb": (3,), "cbcr": (2, 3)}.get(guest.gives, (len(guest.points),))


def chroma(guest: Guest, answer: Float, luma: Float, *, temperature: float) -> Float:
    """Read the chroma out of a network's answer; its luma is thrown away.

    Lab counts at the photograph's own lightness: the color that the guest's authors would show there, clipped to RGB as they
    clip it, gives Cb and Cr.

    Args:
        guest: what the answer means.
        answer: ``(C, h, w)``.
        luma: ``(H, W)`` in [0, 1] that the network was shown.
        temperature: of bins: below 1 their likeliest counts more (Zhang et al. 2016, equation 5).

    Returns:
        ``(2, h, w)`` float32 Cb and Cr in [-0.5, 0.5].
    """
    if guest.gives in ("shares", "logits"):
        return _of_ab(_expected(guest, answer, temperature), luma)
    values = np.float32(guest.answer_factor) * (_column(guest.answer_deviation) * answer + _column(guest.answer_mean))
    if guest.gives == "ab":
        return _of_ab(values, luma)
    if guest.gives == "cbcr":
        return np.asarray(values[-2:].clip(-0.5, 0.5), np.float32)
    picture = values.clip(0, 1)
    return _of_rgb(picture if guest.answer_order == "RGB" else picture[::-1])


def luma_of(guest: Guest, answer: Float) -> Float:
    """Give the ``(h, w)`` luma in [0, 1] of a ``(3, h, w)`` answer that is a picture, before it is thrown away."""
    values = np.float32(guest.answer_factor) * (_column(guest.answer_deviation) * answer + _column(guest.answer_mean))
    luma: Float = color.rgb_to_ycbcr(*(values if guest.answer_order == "RGB" else values[::-1]))[0]
    return luma


def padded(luma: Float, size: int) -> Float:
    """Repeat the last row and column of ``(H, W)`` luma until it is a square of ``size``."""
    return np.pad(luma, [(0, size - side) for side in luma.shape], mode="edge")


def cropped(answer: Float, shape: tuple[int, ...], size: int) -> Float:
    """Cut what belongs to ``shape`` out of a ``(C, h, w)`` answer for a square of ``size`` pixels."""
    high, wide = (side * cells // size for side, cells in zip(shape, answer.shape[1:], strict=True))
    return answer[:, : max(high, 1), : max(wide, 1)]


def _column(values: tuple[float, ...]) -> Float:
    return np.array(values, np.float32)[:, None, None]


def _expected(guest: Guest, answer: Float, temperature: float) -> Float:
    """Give the mean ab of ``(K, h, w)`` bins at a temperature."""
    logits = np.log(np.maximum(answer, np.finfo(np.float32).tiny)) if guest.gives == "shares" else answer
    share = np.exp((logits - logits.max(0)) / np.float32(temperature))
    mean: Float = np.tensordot(np.array(guest.points, np.float32).T, share / share.sum(0), 1)
    return mean


def _of_ab(ab: Float, luma: Float) -> Float:
    if ab.shape[1:] != luma.shape:
        luma = np.asarray(cv2.resize(luma, ab.shape[:0:-1], interpolation=cv2.INTER_AREA), np.float32)
    return _of_rgb(color.lab_to_rgb(np.stack([color.lightness(luma), *ab])))


def _of_rgb(rgb: color.Floats) -> Float:
    return np.stack(color.rgb_to_ycbcr(*rgb)[1:]).astype(np.float32)
