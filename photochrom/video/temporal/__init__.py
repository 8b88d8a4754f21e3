"""Keep the colors of film steady: scenes, motion, and what is carried along it."""

from photochrom.video.temporal import optical_flow
from photochrom.video.temporal.frame_kind import Kind, kind_of
from photochrom.video.temporal.point_tracks import Point, Trail
from photochrom.video.temporal.propagate import Carried, Steadiness, color_segment, half, small
from photochrom.video.temporal.scene_cuts import Cuts
from photochrom.video.temporal.scene_kind import SceneKind

__all__ = [
    "Carried",
    "Cuts",
    "Kind",
    "Point",
    "SceneKind",
    "Steadiness",
    "Trail",
    "color_segment",
    "half",
    "kind_of",
    "optical_flow",
    "small",
]
