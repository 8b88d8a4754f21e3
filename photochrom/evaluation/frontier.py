"""Measure how faithful and how vivid a model is, from one end of its vividness to the other."""

from __future__ import annotations

from dataclasses import replace

from photochrom.colorizer.colorizer import Colorizer
from photochrom.evaluation import metrics, scores
from photochrom.evaluation.protocols import Figure, Measured, Photographs
from photochrom.evaluation.scores import GREY

MEASURES = ("disparity", "psnr", "auc", "auc_rebalanced")


def frontier(colorizer: Colorizer, photographs: Photographs) -> Measured:
    """Score vividness 0, 1 and 2 beside grey: the goals of the protocol ``frontier``.

    Raises:
        DataError: there are no such shards, or one cannot be read.
        OptionError: the limit is below 1.
    """
    ways = {str(end): Colorizer(colorizer.model, replace(colorizer.options, vividness=float(end))).paint for end in range(3)}
    _, table = scores.compare(
        {GREY: scores.grey, **ways},
        photographs.data,
        split=photographs.split,
        limit=photographs.limit,
        progress=photographs.progress,
    )
    grey, *rows = table.rows
    figures = {f"{GREY}.{measure}": Figure(getattr(grey.summary, measure)) for measure in MEASURES}
    for row in rows:
        above = metrics.difference(row.scores, grey.scores)
        gains = {"disparity": metrics.gain(row.scores, grey.scores, grey=grey.scores, measure="disparity")}
        for measure in MEASURES:
            gain = gains.get(measure) or getattr(above, measure)
            figures[f"{row.name}.{measure}"] = Figure(getattr(row.summary, measure), gain)
        figures[f"{row.name}.colorfulness_ratio"] = Figure(row.summary.colorfulness_ratio)
    return Measured("frontier", table.photographs, figures)
