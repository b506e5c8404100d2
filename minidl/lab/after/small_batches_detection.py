"""Small batches, detection: below eight images batch norm loses to group norm. By noise, or by what evaluation does?"""

from functools import partial

from minidl.lab.after._small_batches import figure, plan, run, tables, verdict
from minidl.lab.after.small_batches import METHOD, RULE
from minidl.lab.study.claim import Claim

__all__ = ["CLAIM"]

MEASURE = "average precision"

CLAIM = Claim(
    id="small-batches-detection",
    section="benchmark page, COCO",
    part="after",
    statement="""In detection, batch norm loses to group norm where a batch has fewer than eight images (after Wu and He
        2018, of which the abstract was read: group norm can outperform batch norm in detection on COCO; eight is not from
        there).""",
    method=f"""Scenes of 64×64 pixels, each with two to five overlapping MNIST digits of five classes, scraps of other
        digits, and noise; their boxes, by a centre-point detector (after Zhou et al. 2019, *not read*) of eight
        convolutions, 8 to 32 channels, whose maps of centres and sizes have a quarter of the image's resolution. The
        score is the average precision at IoU 0.5, the mean over the five classes. {METHOD}""",
    rule=RULE,
    limits="""COCO's detectors begin with ImageNet's weights, and keep their statistics frozen; these begin with none.
        With 32 images there are but 128 steps, after which no arm is done: the lead there tells who learns faster,
        and so does the difference between few images and 32. Without a norm, and with frozen statistics, some seeds
        hardly learn: those means are of good runs and failed ones, and their rates are chosen from such runs, too.
        Rates are chosen by what the moving averages give: others might be best for other statistics; † marks those at
        an edge. Where a batch's own statistics are used at evaluation, their noise is in the score, too, and counts
        as a loss of training. COCO takes the mean over ten thresholds of IoU; here there is one. The scenes are the
        same for all seeds.""",
    plan=partial(plan, "detection"), run=run, verdict=partial(verdict, MEASURE), figure=partial(figure, MEASURE),
    tables=partial(tables, MEASURE),
)  # fmt: skip
