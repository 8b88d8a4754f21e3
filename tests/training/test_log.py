"""Test what a run writes of itself."""

from __future__ import annotations

import csv

from photochrom.training.checkpoint import Progress
from photochrom.training.config import Stage
from photochrom.training.log import Log, draw, read_columns


def test_scores_of_both_validation_sets_are_kept_and_resuming_drops_later_rows(tmp_path):
    for images in (10, 20):
        log = Log(tmp_path, images_seen=images - 10)
        log.row(Progress(images_seen=images), Stage("generator", 40), 1e-3, {"generator": 2.0, "bins": 1.5}, 3.0)
        log.validation(Progress(images_seen=images), {"score": 5.0, "aside_score": 6.0, "grey": 7.0})
        log.close()
    assert read_columns(tmp_path / "validation.csv")["aside_score"] == [6, 6]
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    Log(tmp_path, images_seen=10).board.close()
    assert read_columns(tmp_path / "log.csv")["images_seen"] == [10]
    assert read_columns(tmp_path / "validation.csv")["score"] == [5]


def test_an_older_run_gets_the_columns_that_came_later(tmp_path):
    (tmp_path / "validation.csv").write_text("images_seen,score,grey\n10,5.5,6\n")
    Log(tmp_path, images_seen=10).board.close()
    with (tmp_path / "validation.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["score"], row["grey"], row["aside_score"]) == ("5.5", "6", "")


def test_there_is_no_chart_before_the_first_line(tmp_path):
    draw(tmp_path)
    assert not (tmp_path / "losses.png").exists()
