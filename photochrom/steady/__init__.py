"""Keep the colors of film steady: scenes, motion, and what is carried along it."""

from photochrom.steady.cuts import Cuts
from photochrom.steady.likeness import Look, alike, look
from photochrom.steady.points import Point, Trail
from photochrom.steady.segment import Carried, Steadiness, color_segment, half, small
from photochrom.steady.titles import Kind, kind_of

__all__ = [
    "Carried",
    "Cuts",
    "Kind",
    "Look",
    "Point",
    "Steadiness",
    "Trail",
    "alike",
    "color_segment",
    "half",
    "kind_of",
    "look",
    "small",
]
