from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from photochrom.evaluation.metrics import Value
from photochrom.study import config, diagnostics, figures, findings, panels, report, results
from photochrom.study.figures import Branch, Chart, Line, Moment
from photochrom.study.runner import FAILED
from photochrom.study.worker import RUNS, write_json
from tests.support.studies import TABLE, score_all, study
from tests.support.testdata import write_shard

VOID = {"meta", "img", "br"}
OPTIONAL = {"td", "th", "p", "tr"}


class Page(HTMLParser):
    """Collect a page's texts, tags and attributes, and check that what must be closed is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.words, self.attributes = [], [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID | OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        if tag not in OPTIONAL:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    data = {}
    for name, seed in (("hills", 0), ("lakes", 1)):
        pictures = [
            np.random.default_rng([seed, i]).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
            for i in range(4)
        ]
        (folder / name).mkdir()
        write_shard(folder / name / "test-0.tar", pictures)
        data[name] = folder / name
    plan = study(data, seeds=[0, 1])
    output = folder / "out"

    def disparity(run, _):
        return (
            None
            if run.name == "lakes-unet-none-s1"
            else np.full(4, -1.0 if run.regularizer == "none" else 0.5) + 0.01 * run.seed
        )

    score_all(plan, output, disparity, photographs=4)
    write_json(output / RUNS / "lakes-unet-none-s1" / FAILED, {"reason": "the loss <l1> is nan"})
    report.write(plan, output)
    return plan, output, (output / report.REPORT).read_text("utf-8")


def test_the_page_stands_alone_and_is_well_formed(written):
    page = Page(written[2])
    assert "script" not in page.tags and "link" not in page.tags
    addresses = [value for name, value in page.attributes if name in ("src", "href")]
    assert addresses and all(value.startswith("data:image/jpeg;base64,") for value in addresses)
    assert "@import" not in written[2] and all(inside.startswith("#") for inside in re.findall(r"url\(([^)]*)", written[2]))
    assert all(value.startswith("#") for name, value in page.attributes if name == "xlink:href")


def test_every_run_and_every_kind_of_chart_is_there(written):
    plan, _, text = written
    words = " ".join(Page(text).words)
    for run in plan.runs:
        assert run.name in words
    charts = re.findall(r'<svg[^>]*aria-label="([^"]*)"', text)
    assert sum(name.startswith("Training of ") for name in charts) == 7, "one a run that trained"
    for title in ("Adversarial losses", "Validation", "Norms of the gradients", "Share that the discriminator tells apart"):
        assert text.count(f">{title}</text>") == 7
    assert sum("difference in disparity" in name for name in charts) == 4
    assert words.count("What to look for.") >= 6


def test_tables_name_baselines_marks_alarms_and_failures(written):
    words = re.sub(r"\s+", " ", " ".join(Page(written[2]).words))
    assert words.count("mean chroma of hills") == words.count("mean chroma of lakes") == 4
    assert "no better than grey" in words and "\u25bc worse" in words
    assert "The discriminator won." in words
    assert "the loss <l1> is nan" in words and "(1 failed)" in words
    assert "A study <of> nothing" in words and "Does it & hold?" in words


def test_tables_are_sorted_with_grey_in_its_place(written):
    _, output, text = written
    table = text.split("Tested on hills</h3>")[1].split("</table>")[0]
    names = re.findall(r"<tr class=\w+><td>([^<]+?) ?<", table)
    baselines = ["mean chroma of hills", "mean chroma of lakes", "grey"]
    assert [name.strip() for name in names] == ["unet / none"] * 2 + baselines + ["unet / spectral-d"] * 2
    lines = (output / "findings.md").read_text().split("## Tables")[1].split("Tested on lakes")[0].splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:][4] == "*grey*"


def test_panels_show_grey_truth_both_models_and_each_regularizer(written):
    panels = written[2].split("By training data")[1].split("<h3>Best and worst")[0]
    captions = re.findall(r"<figcaption>([^<]+)", panels)
    assert captions[:4] == ["grey", "truth", "trained on hills", "trained on lakes"]
    regular = re.findall(r"<figcaption>([^<]+)", panels.split("One column a regularizer")[1])
    assert regular[:4] == ["grey", "truth", "none", "spectral-d"]
    extremes = re.findall(r"<figcaption>([^<]+)", written[2].split("Best and worst photographs")[1])
    assert extremes[:3] == ["grey", "model", "truth"]


def test_no_text_is_smaller_than_12_pixels(written):
    style, *drawings = written[2].split("<svg")
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:(\d+)px", style)]
    # Of a drawing, in points: 3 of them are 4 pixels.
    sizes += [float(size) * 4 / 3 for text in drawings for size in re.findall(r"font-size: ([\d.]+)px", text)]
    assert len(sizes) > 100 and min(sizes) >= 12


def svg(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def texts(root):
    return {element.text for element in root.iter() if element.tag.endswith("text")}


def curves(root, color):
    """Give the points of the paths drawn in a color."""
    paths = [e.get("d") for e in root.iter() if e.tag.endswith("path") and f"stroke: {color.lower()}" in (e.get("style") or "")]
    return [[tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", path)] for path in paths]


def test_lines_are_where_their_values_are():
    line = Line("a", [0, 50, 100], [0.0, 1.0, 2.0], "#0000ff")
    root = svg(figures.charts("All", [Chart("T", "y", [line], [Moment(50, "m", "#ff0000")])]))
    points = max(curves(root, "#0000ff"), key=lambda each: each[-1][0] - each[0][0])  # the other is in the legend
    assert len(points) == 3
    assert points[0][0] < points[1][0] < points[2][0] and points[0][1] > points[1][1] > points[2][1]
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.2)
    assert any(each[0][0] == pytest.approx(points[1][0], abs=0.2) for each in curves(root, "#ff0000"))
    assert {"T", "a", "m", "y", "training images seen"} <= texts(root)
    assert root.get("aria-label") == "All"


def test_a_chart_of_gaps_or_nothing_is_still_a_chart():
    svg(figures.charts("T", [Chart("T", "y", [])]))
    line = Line("a", [0, 1, 2, 3, 4], [1.0, 1.0, None, 2.0, 3.0], "#0000ff")
    text = figures.charts("T", [Chart("T", "y", [line])])
    (path,) = (e.get("d") for e in svg(text).iter() if e.tag.endswith("path") and e.get("d").count("M") == 2)
    assert path.count("L") == 2, "a stretch on either side of the gap"
    assert figures.charts("T", [Chart("T", "y", [line])]) == text, "the same chart has the same bytes"


def test_a_forest_cuts_endless_intervals_with_an_arrow():
    small, endless = Value(-0.2, -0.3, -0.1), Value(-0.2, -90.0, 90.0)
    plain = figures.forest("T", [Branch("x", small, small, "#123456", "n")], x_label="d", better="b", worse="w")
    cut = figures.forest("T", [Branch("x", small, endless, "#123456", "n")], x_label="d", better="b", worse="w")
    assert plain.count('class="arrow"') == 0 and cut.count('class="arrow"') == 2
    zero = curves(svg(plain), figures.BLACK)[0][0][0]
    (dot,) = (e for e in svg(plain).iter() if e.get("class") == "dot")
    place = next(float(e.get("x")) for e in dot.iter() if e.tag.endswith("use"))
    assert place < zero, "the better side is the left one"
    assert {"x", "n", "d", "\u2190 b", "w \u2192"} <= texts(svg(plain))


def test_one_ruined_training_does_not_press_the_others_together():
    near, far = Value(-0.2, -0.3, -0.1), Value(30.0, 29.0, 31.0)
    branches = [Branch(name, near, None, "#000", "n") for name in "abcd"] + [Branch("e", far, None, "#000", "n")]
    text = figures.forest("T", branches, x_label="d", better="b", worse="w")
    numbers = [float(word.replace("\u2212", "-")) for word in texts(svg(text)) if word.lstrip("\u2212")[:1].isdigit()]
    assert max(numbers) < 3
    assert text.count('class="arrow"') == 1, "the far one is cut, with an arrow"
    assert text.count('class="dot"') == 4


def test_smoothing_keeps_a_level_and_gaps():
    assert figures.smooth([2.0] * 9) == [2.0] * 9
    found = figures.smooth([0.0, 3.0, None, 0.0])
    assert found[2] is None and found[1] == 1.5


def test_health_reads_both_checkpoints_and_raises_alarms(tmp_path):
    lines = [f"{4 * i},{loss},{d},{d},{a}" for i, (loss, d, a) in enumerate([(9, 0.7, 0.6), (5, 0.01, 0.99), (7, 0.01, 1)], 1)]
    (tmp_path / "log.csv").write_text("images_seen,generator,real,fake,accuracy\n" + "\n".join(lines) + "\n")
    (tmp_path / "validation.csv").write_text("images_seen,score,chroma,held_accuracy\n4,5.0,0.1,0.5\n12,6.0,0.2,0.6\n")
    found = diagnostics.examine(tmp_path)
    assert (found["images_seen"], found["best_images"], found["best_score"]) == (12, 4, 5.0)
    assert (found["lowest_loss_images"], found["lowest_loss_score"]) == (8, 6.0)
    said = " ".join(found["alarms"])
    assert "near 0 in 67 %" in said and "won" in said and "by heart" in said and "nearly grey: 10 %" in said
    assert diagnostics.examine(tmp_path / "nothing")["alarms"] == []


def test_the_summary_needs_no_other_seed(written):
    plan, output, _ = written
    text = findings.tables(results.cells(plan, output), plan, results.rows(plan, output))
    assert "| unet / none | lakes | 1 (1 failed) |" in text


def test_pictures_of_ones_own_take_the_place_of_test_photographs(written, tmp_path):
    plan, output, before = written
    copy = tmp_path / "out"
    shutil.copytree(output, copy)
    own = np.full((48, 48, 3), (200, 40, 40), np.uint8)
    report.write(plan, copy, pictures=[own])
    text = (copy / report.REPORT).read_text("utf-8")
    assert "Photographs of no data set" in text and "Best and worst" not in text
    truths = re.findall(r'<img src="([^"]+)" alt="truth"', text)
    assert truths and set(truths) == {panels.picture_uri(own.tobytes(), own.shape)}
    assert not set(truths) & set(re.findall(r'<img src="([^"]+)"', before))


def judged(tmp_path, differences, **grid):
    """Score a study of two data sets in which each regularizer is off the baseline by so much, with a little luck."""
    plan = study({"hills": tmp_path / "a", "lakes": tmp_path / "b"}, regularizers=["none", *differences], **grid)
    rng = np.random.default_rng(1)

    def disparity(run, test):
        level = -0.5 + differences.get(run.regularizer, {}).get(run.data, 0.0) + 0.2 * (run.data != test)
        return level + 0.001 * run.seed + rng.normal(0, 0.01, 40)

    score_all(plan, tmp_path / "out", disparity)
    table, rows = results.cells(plan, tmp_path / "out"), results.rows(plan, tmp_path / "out")
    return findings.page(plan, table, rows)


def section(text, title):
    return text.split(f"**{title}** (")[1].split("**")[0]


def test_findings_sort_regularizers_by_what_is_clear_on_which_data_set(tmp_path):
    text = judged(
        tmp_path,
        {
            "r1": {"hills": -0.4, "lakes": -0.3},
            "ema": {"hills": -0.4, "lakes": 0.4},
            "spectral-d": {"lakes": 0.4},
            "weight-decay": {},
        },
    )
    assert "- unet / r1: hills -0.4" in section(text, "Better on every data set")
    assert "unet / ema" in section(text, "Better on one and worse on another")
    assert "unet / spectral-d" in section(text, "Worse on some, better on none")
    assert "unet / weight-decay" in section(text, "No clear difference")
    assert section(text, "Worse on every data set").startswith("0)")
    assert "10 of 10 combinations beat grey beyond chance" in text
    assert "In 30 of 30 runs the discriminator won: late in the run" in text
    assert "r1, spectral-d. Their differences are of both changes together. No row of this study takes only the norm" in text
    assert "Here the combinations that are better have a colorfulness of 0.50 to 0.50" in text
    assert "On hills, models trained on lakes lie +" in text and "better in 5 of 5" in text
    assert "worse by 0.40 points of disparity on average" in text
    assert "corrected for the 8 comparisons" in text


def test_findings_judge_nothing_by_one_seed(tmp_path):
    text = judged(tmp_path, {"r1": {"hills": -0.4, "lakes": -0.3}}, seeds=[0])
    assert "nothing can be said about luck" in text
    assert section(text, "Better on every data set").startswith("0)")


def test_findings_name_the_control_of_what_also_changes_the_normalization(tmp_path):
    own = {"only-norm": {"discriminator_normalization": "none"}}
    table = TABLE | {"regularizers": own, "grid": TABLE["grid"] | {"regularizers": ["none", "r1", "only-norm"]}}
    plan = config.from_tables(json.loads(json.dumps(table)), {"hills": tmp_path / "a"})
    score_all(plan, tmp_path / "out", lambda run, _: None if run.regularizer == "only-norm" else np.full(40, -1.0))
    found = findings.confounded(plan, results.cells(plan, tmp_path / "out"))
    assert "norm away: r1." in found and "The control only-norm, which takes only the norm away, has not been run yet." in found
    score_all(plan, tmp_path / "out", lambda *_: np.full(40, -1.0))
    found = findings.confounded(plan, results.cells(plan, tmp_path / "out"))
    assert "The row only-norm takes only the norm away: compare them with it." in found


def test_an_unclear_difference_whose_interval_leaves_0_out_is_explained(tmp_path):
    plan = study({"hills": tmp_path / "a"})
    score_all(plan, tmp_path / "out", lambda *_: np.full(40, -1.0))
    base, other = results.cells(plan, tmp_path / "out")
    rows = results.rows(plan, tmp_path / "out")
    for low, stars in ((-0.9, 2), (-1.1, 0)):  # in the row, and where it is explained
        gap = replace(other.difference, seeds=Value(-0.5, low, -0.1 if stars else 0.1), chance=0.2)
        text = findings.tables([base, replace(other, difference=gap, mark="unclear")], plan, rows)
        assert text.count("\u2020") == stars
        assert ("of 1 comparisons in a table, one in twenty would leave 0 out by chance" in text) == bool(stars)
