"""Hold what a model must reach, with what others published: one table of all figures, by protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Protocol = Literal["frontier", "hints", "confidence", "robustness", "recognition", "frechet"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Goal:
    """State what a figure is, what it must reach, and what others published."""

    measure: str
    unit: str = ""
    gain: str = ""
    """Unit of the gain over the protocol's baseline; a figure that has a gain is judged by it."""
    least: float | None = None
    most: float | None = None
    published: str = ""
    photographs: int = 1
    """Fewer than these decide nothing."""


@dataclass(frozen=True)
class Source:
    """Say where a protocol comes from, and what it does."""

    title: str
    text: str
    over: str = ""
    """What the gains are over; empty where there are none."""


SOURCES: dict[Protocol, Source] = {
    "frontier": Source(
        "From faithful to vivid",
        "Vividness 0, 1 and 2 on the same photographs, each at its own size. PSNR is over RGB. AuC is the area under the curve "
        "of ab errors up to 150, raw and with every color class of a data set counted alike (Zhang et al. 2016, section 3.1). "
        "Colorfulness is Hasler and Suesstrunk's (2003). The published figures are of ImageNet photographs, on which grey lies "
        "elsewhere: compare gains.",
        over="grey",
    ),
    "hints": Source(
        "Hints",
        "After Zhang et al. 2017: random patches of 7 in 256 pixels show the mean of their true color; PSNR over RGB, at "
        "vividness 0. Theirs are 1000 ImageNet photographs of 256 x 256 pixels. Far corner: how far (CIE76, at vividness 1) a "
        "click in one corner moves a quarter by a quarter of the photograph at the opposite one; a strong color is red, blue, "
        "green or yellow, whether it suits or not.",
        over="no hints",
    ),
    "confidence": Source(
        "Confidence",
        "The pixels by the tenth in which their stated confidence lies, at vividness 1, and how many of them lie within 10 dE "
        "(CIE76) of the truth. Every photograph counts alike.",
        over="what was stated",
    ),
    "robustness": Source(
        "Robustness",
        "The input is changed, colored at vividness 1 and changed back: mean CIE76 difference to the answer for the unchanged "
        "input. Resized: the answer's chroma is scaled back and laid over the unchanged luma. 6 : 1: the photograph lies in "
        "the middle of a row of its own mirror images, and its part of the answer is compared.",
    ),
    "recognition": Source(
        "Recognition",
        "In Zhang et al. 2016, section 3.1, VGG-16 classifies recolored photographs of ImageNet. The photographs here have no "
        "ImageNet classes: right is what EfficientNet-Lite2, with its ImageNet weights, at 256 x 256 pixels, says of the "
        "photograph in color. Color has 100 % by that, so the shares compare with no others; the share of the loss that is won "
        "back does, with care. At vividness 1.",
    ),
    "frechet": Source(
        "Frechet distance",
        "Heusel et al. 2017, equation 6, between true and recolored photographs, at vividness 1, in the last features of "
        "EfficientNet-Lite2, with its ImageNet weights, at 256 x 256 pixels, averaged over each photograph. It depends on the "
        "network and on the number of photographs: compare the percentage, of like numbers.",
    ),
}

MANY = 400
"""So few photographs at least make a distribution: of features, or of rare colors."""

_SIGGRAPH17 = "SIGGRAPH17: 24.43 dB on 1000 of ImageNet"
_AUC = "Zhang et al. 2016: grey 89.1 %, regression 91.2 %; Larsson et al. 91.7 %"
_REBALANCED = "Zhang et al. 2016: grey 58.0 %, regression 64.4 %, theirs 67.3 %"
_RATIO = "DDColor 0.99, CIC 0.83, DeOldify 0.56"
_VGG = "Zhang et al. 2016, VGG-16: color 68.3 %, grey 52.7 %, recolored 56.0 %"
_HINTED = "Zhang et al. 2017: +{} dB"

GOALS: dict[Protocol, dict[str, Goal]] = {
    "frontier": {
        "grey.disparity": Goal("grey: disparity", " %"),
        "grey.psnr": Goal("grey: PSNR", " dB"),
        "grey.auc": Goal("grey: AuC, raw", " %", published="Zhang et al. 2016: 89.1 %"),
        "grey.auc_rebalanced": Goal("grey: AuC, class-rebalanced", " %", published="Zhang et al. 2016: 58.0 %"),
        "0.disparity": Goal("vividness 0: disparity", " %", " % less", least=20),
        "0.psnr": Goal("vividness 0: PSNR", " dB", " dB", least=1.8, published=_SIGGRAPH17),
        "0.auc": Goal("vividness 0: AuC, raw", " %", " points", least=2.3, published=_AUC),
        "0.auc_rebalanced": Goal("vividness 0: AuC, class-rebalanced", " %", " points", published=_REBALANCED),
        "0.colorfulness_ratio": Goal("vividness 0: colorfulness, of the truth's"),
        "1.disparity": Goal("vividness 1: disparity", " %", " % less", least=10),
        "1.psnr": Goal("vividness 1: PSNR", " dB", " dB", least=0.8),
        "1.auc": Goal("vividness 1: AuC, raw", " %", " points", published=_AUC),
        "1.auc_rebalanced": Goal(
            "vividness 1: AuC, class-rebalanced", " %", " points", least=6, published=_REBALANCED, photographs=MANY
        ),
        "1.colorfulness_ratio": Goal("vividness 1: colorfulness, of the truth's", least=0.7, published=_RATIO),
        "2.disparity": Goal("vividness 2: disparity", " %", " % less"),
        "2.psnr": Goal("vividness 2: PSNR", " dB", " dB", least=0),
        "2.auc": Goal("vividness 2: AuC, raw", " %", " points", published=_AUC),
        "2.auc_rebalanced": Goal("vividness 2: AuC, class-rebalanced", " %", " points", published=_REBALANCED),
        "2.colorfulness_ratio": Goal("vividness 2: colorfulness, of the truth's", least=1, published=_RATIO),
    },
    "hints": {
        "0": Goal("no hints: PSNR", " dB", published=_SIGGRAPH17),
        "1": Goal("1 hint: PSNR", " dB", " dB", least=0.9, published=_HINTED.format(0.9)),
        "3": Goal("3 hints: PSNR", " dB", " dB", least=2.3, published=_HINTED.format(2.3)),
        "10": Goal("10 hints: PSNR", " dB", " dB", least=4.0, published=_HINTED.format(4.0)),
        "50": Goal("50 hints: PSNR", " dB", " dB", least=6.0, published=_HINTED.format(6.0)),
        "step": Goal("the least step from one row to the next", " dB", least=0),
        "far": Goal("far corner after a click of the true color", " dE", most=2),
        "strong": Goal("far corner after a click of a strong color", " dE", most=2),
    },
    "confidence": {
        **{str(tenth): Goal(f"stated {10 * tenth} to {10 * tenth + 10} %: right", " %", " points") for tenth in range(10)},
        "gap": Goal("stated and right apart, mean over the pixels", " points", most=5),
    },
    "robustness": {
        "turned": Goal("turned by 90 degrees", " dE", most=6),
        "mirrored": Goal("mirrored", " dE", most=3),
        "0.5": Goal("resized to 0.5 x", " dE", most=4),
        "2": Goal("resized to 2 x", " dE", most=4),
        "4": Goal("resized to 4 x", " dE", most=4),
        "wide": Goal("6 : 1, wide", " dE", most=4),
        "tall": Goal("6 : 1, tall", " dE", most=4),
    },
    "recognition": {
        "grey.1": Goal("grey: the class of color is the likeliest", " %"),
        "model.1": Goal("recolored: the class of color is the likeliest", " %", published=_VGG),
        "back.1": Goal("share of the loss won back", " %", published="Zhang et al. 2016: 21 %"),
        "grey.5": Goal("grey: the class of color is among the five likeliest", " %"),
        "model.5": Goal("recolored: the class of color is among the five likeliest", " %"),
        "back.5": Goal("share of the loss won back, five likeliest", " %"),
    },
    "frechet": {
        "grey": Goal("grey: distance"),
        "model": Goal("recolored: distance"),
        "share": Goal("recolored, of grey's", " %", most=45, photographs=MANY),
    },
}
"""What is measured, in the order of the printed rows."""
