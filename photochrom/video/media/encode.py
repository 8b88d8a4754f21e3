"""Choose an encoder and its options, and encode frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, cast, final

import av
import cv2
import numpy as np
from av.codec import Codec
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext

from photochrom.color import Plane
from photochrom.errors import OptionError, OutputError, one_line
from photochrom.video.media.decode import plane_of
from photochrom.video.media.probe import PROGRESSIVE, TOP_FIRST, Traits, reason
from photochrom.video.resume import Chunk

CODECS = {
    "webm": ("libvpx-vp9",),
    "mp4": ("libx264", "libx265"),
    "mov": ("libx264", "libx265"),
    "matroska": ("libx264", "libx265", "ffv1"),
    "mpegts": ("libx264", "libx265"),
    "avi": ("mpeg4", "ffv1"),
    "mxf": ("mpeg2video", "ffv1"),
}
"""Encoders for a container, as FFmpeg names it: the first that takes a film's depth is the default."""

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
"""Of libx264 and libx265."""
QUALITY = ("crf", "cq", "qp")
"""Options for a constant quality, by which encoders know it."""
SCALED = frozenset({"mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
"""Encoders that take a scale of quantizers instead, in FFmpeg's unit."""
LAMBDA = 118
"""That unit."""
SHAPED = frozenset({"libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
"""Encoders whose streams state the pixel aspect themselves, as AVI does not."""
LIMITED = frozenset({"prores_ks", "prores_aw", "prores", "dnxhd"})
"""Encoders of studios, whose streams store luma of limited range only."""
FIELDED = frozenset({"libx264", "mpeg2video", "mpeg4", "ffv1", "prores_ks"})
"""Encoders that code the two fields of an interlaced film."""
CAPTIONED = frozenset({"libx264", "mpeg2video"})
"""Encoders that write closed captions into the picture's own stream."""

AVX512 = 13
"""OpenCV's number of these instructions."""
REPEATABLE = "asm=avx2,fma3,bmi1,bmi2,lzcnt,cache64"
"""All that a processor with AVX-512 has but that: with it, x264's macroblock tree was seen to differ between two runs over the
same frames, and a film that was gone on with would be another. x264 asks no processor whether it has what is named here."""

DEFAULTS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "medium"},
    "libx265": {"crf": "20", "preset": "medium", "x265-params": "log-level=none:info=0"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "libsvtav1": {"crf": "26", "preset": "8"},
    "ffv1": {"level": "3", "slicecrc": "1"},
    "prores_ks": {"profile": "hq", "vendor": "apl0"},
    "dnxhd": {"profile": "dnxhr_hqx"},
} | {name: {"flags": "+qscale", "global_quality": str(3 * LAMBDA)} for name in SCALED}
DEFAULTS["mjpeg"]["strict"] = "unofficial"  # or it takes no luma of limited range
"""Options that an encoder gets where nothing else is asked."""


def default_codec(container: str, bits: int, *, fallback: str) -> str:
    """Name the encoder for a container and a depth.

    Args:
        container: FFmpeg's name of it.
        bits: of a sample.
        fallback: FFmpeg's own default for the container.
    """
    names = CODECS.get(container, (fallback,))
    known = [name for name in names if name in av.codecs_available]
    return next((name for name in known if _format(Codec(name, "w"), bits, step=2)), known[0] if known else fallback)


def options_of(codec: str, *, crf: float | None, preset: str | None, more: Mapping[str, str]) -> dict[str, str]:
    """Return the options of an encoder.

    Raises:
        OptionError: there is no such encoder, or it has no such option.
    """
    try:
        context = av.CodecContext.create(codec, "w")
    except (ValueError, av.error.FFmpegError) as error:
        raise OptionError(
            f"unknown encoder '{codec}': expected one of this FFmpeg, such as libx264, libx265, libvpx-vp9 or ffv1"
        ) from error
    if context.type != "video":
        raise OptionError(f"'{codec}' encodes {context.type}: expected an encoder for video, such as libx264")
    known = {option.name for option in context.supported_options.private}
    options = dict(DEFAULTS.get(codec, {}))
    if codec == "libsvtav1":  # which prints its settings otherwise
        os.environ.setdefault("SVT_LOG", "1")
    if codec == "libx264" and cv2.checkHardwareSupport(AVX512):
        options["x264-params"] = REPEATABLE
    if not {*QUALITY, "b", "lossless"}.isdisjoint(more):
        options.pop("crf", None)
    if crf is not None:
        name = next((name for name in QUALITY if name in known), None)
        if name:
            options[name] = f"{crf:g}"
        elif codec in SCALED:
            options["global_quality"] = str(round(crf * LAMBDA))
        else:
            raise OptionError(f"{codec} has no constant quality (--crf): leave it out, or choose another codec")
    if preset is not None:
        if "preset" not in known:
            raise OptionError(f"{codec} has no presets (--preset): leave it out, or give options of its own (--codec-option)")
        options["preset"] = preset
    options |= dict(more)
    if codec.startswith("libx26") and options["preset"] not in PRESETS:  # which the library itself would print a line about
        raise OptionError(f"{codec} has no preset '{options['preset']}': expected one of {', '.join(PRESETS)}")
    return options


def pixel_format(codec: str, traits: Traits) -> str:
    """Name the pixel format that an encoder is given.

    Raises:
        OptionError: it takes none of the film's depth.
    """
    bits, step = traits.signal.bits, chroma_step(codec, traits)
    found = _format(Codec(codec, "w"), bits, step=step)
    if found is None:
        form, other = "4:2:0 or 4:2:2" if step == 2 else "4:4:4", "libx265" if bits in (8, 10, 12) else "ffv1"
        what = f"{codec} takes no {form} of {bits} bits, as the result has"
        raise OptionError(f"{what}: choose another codec, such as {other}, and a container that holds it")
    return found


def chroma_step(codec: str, traits: Traits) -> int:
    """Return by how much chroma is smaller than luma: 2, or 1 if a side is odd and the encoder cannot halve it."""
    odd = traits.width % 2 or traits.height % 2
    return 1 if odd and not codec.startswith(("libvpx", "ffv1", "mpeg", "mjpeg", "libsvtav1")) else 2


def fielded(codec: str, traits: Traits) -> bool:
    """Return whether a film is interlaced and its result is encoded so."""
    return traits.fields > 1 and codec in FIELDED and (codec != "libx264" or traits.height % 4 == 0)


def captioned(codec: str, traits: Traits) -> bool:
    """Return whether closed captions inside a film's picture are kept, as they are if frames need no conversion."""
    return codec in CAPTIONED and traits.pixels == own_format(traits.signal.bits, chroma_step(codec, traits))


def own_format(bits: int, step: int) -> str:
    """Name the pixel format in which frames are put together."""
    return f"yuv{'420' if step == 2 else '444'}p{'' if bits == 8 else f'{bits}le'}"


def _format(codec: Codec, bits: int, *, step: int) -> str | None:
    own, deep = own_format(bits, step), bits if bits > 8 else 10
    packed = {"yuv420p": "nv12", "yuv420p10le": "p010le"}.get(own)
    names = [form.name for form in codec.video_formats or ()]
    # Encoders of studios store no chroma of half height; 8 bits fit into 10.
    forms = [own, packed, f"yuv422p{deep}le", own.replace("yuv420p", "yuv422p"), f"yuv444p{deep}le"]
    return own if not names else next((name for name in forms if name in names), None)


def configured(context: Any, codec: str, traits: Traits, options: Mapping[str, str], *, threads: int, header: bool) -> None:
    """Set up an encoder, or the stream of a container that its packets go to."""
    context.width, context.height = traits.width, traits.height
    context.pix_fmt = pixel_format(codec, traits)
    context.time_base = 1 / traits.rate
    context.framerate = traits.rate
    context.sample_aspect_ratio = traits.aspect or Fraction(0, 1)
    signal = traits.signal
    context.colorspace, context.color_primaries, context.color_trc = signal.matrix, signal.primaries, signal.transfer
    context.color_range = 2 if signal.full and codec not in LIMITED else 1
    context.bit_rate = 0  # FFmpeg's own default would be one for a stamp
    context.field_order = traits.fields if traits.fields < 2 or fielded(codec, traits) else PROGRESSIVE
    context.thread_count = threads
    # Slices cost x264 and x265 compression, and frames at a time do not.
    context.thread_type = "FRAME" if codec.startswith("libx26") else "AUTO"
    flags = int(context.flags)
    if codec not in SCALED:  # they take it only without their search for cuts, and encode no frame before the one it rests on
        flags |= int(av.codec.context.Flags.closed_gop)
    if fielded(codec, traits):
        flags |= int(av.codec.context.Flags.interlaced_dct) | int(av.codec.context.Flags.interlaced_me)
    context.flags = flags | int(av.codec.context.Flags.global_header) if header else flags
    context.options = dict(options)


@final
class Encoder:
    """Encode the frames of one segment, which stand on their own."""

    def __init__(self, codec: str, traits: Traits, options: Mapping[str, str], *, threads: int, header: bool) -> None:
        """Open the encoder.

        Raises:
            OptionError: it refuses an option.
        """
        self._context = cast(VideoCodecContext, av.CodecContext.create(codec, "w"))
        configured(self._context, codec, traits, options, threads=threads, header=header)
        self._count = 0
        own = own_format(traits.signal.bits, chroma_step(codec, traits))
        self._form = None if self._context.pix_fmt == own else self._context.pix_fmt
        self._ranges = 2 if traits.signal.full else 1, self._context.color_range
        self._frame_unit = 1 / traits.rate
        self._marker = self._marking(traits) if fielded(codec, traits) else None
        try:
            self._context.open()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            size = f"{traits.width} x {traits.height} pixels"
            what = f"{codec} does not take {size} with these options, or this machine lacks it ({reason(error)})"
            raise OptionError(f"{what}: change the options, or choose another codec") from error
        if left := sorted(self._context.options):
            raise OptionError(f"{codec} has no option {', '.join(left)}: see `ffmpeg -h encoder={codec}`")

    @property
    def extradata(self) -> bytes:
        """Return the parameters that hold for all packets."""
        return bytes(self._context.extradata or b"")

    def encode(self, frame: av.VideoFrame) -> Iterator[Chunk]:
        """Encode the next frame, and yield the packets that are ready."""
        if self._form:
            frame = frame.reformat(format=self._form, src_color_range=self._ranges[0], dst_color_range=self._ranges[1])
        frame.pts, frame.time_base = self._count, self._frame_unit
        self._count += 1
        if self._marker:
            self._marker.vpush(frame)
            frame = self._marker.vpull()
        yield from self._chunks(frame)

    def finish(self) -> Iterator[Chunk]:
        """Yield the remaining packets."""
        yield from self._chunks(None)

    def _marking(self, traits: Traits) -> Graph:
        """Return a filter that marks frames as interlaced."""
        graph = Graph()
        form = av.VideoFormat(str(self._context.pix_fmt))
        begin = graph.add_buffer(width=traits.width, height=traits.height, format=form, time_base=self._frame_unit)
        order = graph.add("setfield", "tff" if traits.fields == TOP_FIRST else "bff")
        graph.link_nodes(begin, order, graph.add("buffersink")).configure()
        return graph

    def _chunks(self, frame: av.VideoFrame | None) -> Iterator[Chunk]:
        try:
            for packet in self._context.encode(frame):
                if packet.size:
                    assert packet.pts is not None
                    yield Chunk(bytes(packet), round(packet.pts * packet.time_base / self._frame_unit), packet.is_keyframe)
        except (av.error.FFmpegError, ValueError) as error:
            raise OutputError(f"{self._context.name} refuses a frame ({one_line(error)}): choose another codec") from error


def new_frame(traits: Traits, step: int) -> av.VideoFrame:
    """Make an empty frame of the form that encoders are given."""
    return av.VideoFrame(traits.width, traits.height, own_format(traits.signal.bits, step))


def writable(frame: av.VideoFrame) -> av.VideoFrame:
    """Make a decoded frame fit to be changed and encoded: the decoder may rest others on it, and it says how it was coded."""
    frame.make_writable()
    frame.pict_type = av.video.frame.PictureType.NONE
    return frame


def put(frame: av.VideoFrame, number: int, samples: Plane | int, *, bits: int) -> None:
    """Fill a plane of a frame."""
    view = plane_of(frame.planes[number], bits)
    if isinstance(samples, int):
        view.fill(samples)
    else:
        np.copyto(view, samples)
