"""Keep the colors of film steady: scenes, motion, and what is carried along it."""

from photochrom.steady.cuts import Cuts
from photochrom.steady.segment import Carried, Steadiness, color_segment, small

__all__ = ["Carried", "Cuts", "Steadiness", "color_segment", "small"]
