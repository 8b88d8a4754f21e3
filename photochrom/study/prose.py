"""Hold the report's style and the words that explain its charts."""

from __future__ import annotations

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:1180px;margin:0 auto;padding:24px}
h1{font-size:30px;margin:0 0 8px}h2{font-size:23px;margin:44px 0 8px;border-top:2px solid #ddd;padding-top:20px}
h3{font-size:18px;margin:24px 0 6px}h4{font-size:15px;margin:16px 0 6px}
.look{background:#eef4fa;border-left:4px solid #0072B2;padding:8px 14px;margin:8px 0 14px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;margin:8px 0}
th,td{padding:5px 7px;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th{background:#f3f3f3;vertical-align:bottom;white-space:normal}td:first-child,th:first-child,.left{text-align:left}
tr.base td{background:#f3f3f3;font-style:italic}tr.bad td:first-child{border-left:5px solid #C24E00}
.free{white-space:normal}
.better{color:#005a8e;font-weight:600}.worse,.fail{color:#a84300;font-weight:600}
.small{font-size:13px;color:#555}.note{font-size:13px;margin:0 4px 8px;color:#444}
.charts,.panels{display:flex;flex-wrap:wrap;gap:14px}.charts{align-items:flex-end}.strip{display:flex;flex-wrap:wrap;margin-bottom:10px}
.block figure,.strip figure{display:inline-block}
figure{margin:0 6px 4px 0;vertical-align:top}figcaption{font-size:13px;text-align:center;max-width:150px;color:#333}
img{display:block;border-radius:2px}summary{cursor:pointer;font-weight:600;padding:6px 0}svg{max-width:100%;height:auto}
"""

WORDS = """<div class=look><b>Words.</b> A <i>generator</i> is the network that colors; the <i>discriminator</i> is a
second network that learns to tell its pictures from true ones. A <i>regularizer</i> is a change of their training
that is to make it steadier or more general. A <i>seed</i> sets all that is random: several seeds show how much of a
figure is luck. <b>Disparity</b> is the mean difference between the generated and the true red, green and blue, in
percent of the full range: lower is better. Most of a photograph is nearly grey, so a picture left <b>grey</b> reaches
a low disparity too and stands in every table; <b>skill</b> says what share of grey's disparity a model takes away: 1
is perfect, 0 is grey, below 0 is worse than doing nothing. <b>Mean chroma</b> tints every photograph with the one
average color of the training photographs.</div>"""

SUMMARY = """<h2>Summary</h2><div class=look><b>What to look for.</b> Rows are sorted by disparity, the best first.
Find <i>grey</i>: every model below it does worse than no color at all, and an orange bar at the left marks each that
does not beat grey beyond chance. The last column compares a model to the same training without its regularizer (or,
for the first regularizer, to the first generator): \u25b2 and \u25bc are differences beyond chance over photographs
and seeds, all comparisons of a table counted together (Holm); everything else may be luck.</div>"""

MEASURES = """<p class=small>PSNR, SSIM, AuC: higher is better; dE2000 and Frechet: lower. AuC is the area under the
curve of color errors of Zhang et al. 2016, raw and with every color class counted alike, however rare. Colorfulness
(Hasler and Suesstrunk 2003) is the generated as a share of the true: a faithful but dull model lies below 1. The
Frechet distance compares features of {features} between all generated and all true photographs; it depends on their
number, so compare it inside one table only. Spread: standard deviation of the disparity over seeds. Intervals hold 95
% and are drawn over the photographs.</p>"""

CROSS = """<h2>Trained here, tested there</h2><div class=look><b>What to look for.</b> Each number is the skill over
grey. Read along a row: if it falls outside the column of its own training data, the model learned that data set
rather than photographs. Read down a column: the better of two training sets for the same test photographs.</div>"""

FORESTS = """<h2>What each change does</h2><div class=look><b>What to look for.</b> A dot left of the black line is
better than the baseline. The thick bar says how far the difference could move with other photographs, the thin line
also with other seeds. Where the thin line crosses the black one, the difference may be luck; with two or three seeds
it is long, and honestly so. An arrow head means that it goes on beyond the chart.</div>"""

PICTURES = """<h2>Photographs</h2><div class=look><b>What to look for.</b> Compare each model with the truth, not with
the other models alone: are grass, sky and skin right, does color stop at edges, is it only sepia? Test photographs
are chosen evenly from the test set, not for their looks; each model is the one of its first seed.</div>"""

PROGRESS = """<h2>How the training went</h2><div class=look><b>What to look for.</b> <i>Adversarial losses</i>: in a
healthy pair the discriminator's losses on true and on generated pictures stay away from 0 and the generator's part
stays level; discriminator losses that fall to 0 while the generator's climbs mean that the discriminator won.
<i>Validation</i>: the disparity on photographs set aside should fall below the grey line; the checkpoint that is kept
has the best score, and the other mark shows where the lowest generator loss would have chosen. Pale lines are raw,
bold ones smoothed.</div>"""

HEALTH = """<h2>Health of the pairs</h2><div class=look><b>What to look for.</b> The discriminator should tell clearly
more than half of the pictures apart but not nearly all, and about as many of photographs that it has not seen. A
score is the disparity on photographs set aside, with the color scaled to 60 % of the true, so that dull and vivid
models compare fairly; if the lowest generator loss would have kept a checkpoint with a higher score, the loss was a
poor guide.</div>"""

MAKING = """<h2>How this was made</h2><p>photochrom {version}, <code>photochrom study</code>. First run:
<code>{settings}</code>; every setting of every run lies in <code>tables/</code>, which <code>photochrom train</code> reads.
Models are scored at vividness {vividness:g} (0 = the network's own answer) from their exported files. Figures with all digits:
<code>results.jsonl</code>.</p>"""
