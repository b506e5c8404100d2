"""Small batches, segmentation: below eight images batch norm loses to group norm. By noise, or by what evaluation does?"""

from functools import partial

from minidl.lab.after._small_batches import figure, plan, run, tables, verdict
from minidl.lab.study.claim import Claim

__all__ = ["CLAIM", "METHOD", "RULE"]

MEASURE = "mean IoU"

METHOD = """Batch norm; batch norm with statistics that stay frozen (those of 500 images at the initial weights, as there
    is no earlier training whose statistics could be kept; γ and β are learned); group norm, four channels in a group; no
    norm, with biases. Batches of 1, 2, 4, 8 and 32 images; each run sees the same 4,096 scenes once, so that larger
    batches make fewer steps. Adam, at a rate that falls to a sixteenth. The first rate is chosen for each of the 20 arms
    on 256 validation scenes, made of training digits that are held out: three rates with one seed, and further ones while
    the best is at an edge, then the two best with two more seeds. Then five seeds, the same for all arms, on 512 scenes
    of test digits. Batch norm is evaluated in three ways: with its moving averages, as usual; with exact statistics,
    taken again after training from 1,024 training scenes in batches of 128; and with the statistics of the test batch
    itself, as many images as in training. So its loss to group norm has three parts that sum to it: what exact statistics
    win back, what those of its own batch win back on top, which is the gap between training and evaluation, and the rest,
    which training itself has lost. Single runs with another seed set classes, initial biases and the grids of rates, the
    latter after the rule was written. They showed batch norm behind with one image (mean IoU 36 against 59 %, average
    precision 48 against 68 %)."""

RULE = """Lead: group norm less batch norm, each as usual. Reproduced if the lead is above 0 with 1, 2 and 4 images, and
    its mean over these is above the lead with 32; partly if it is above 0 with some of them; contradicted if with none,
    and below 0 with some; otherwise not at this scale. A part is said to cause the loss at a size if it is above 0 and at
    least half of the lead."""

CLAIM = Claim(
    id="small-batches",
    section="benchmark page, VOC",
    part="after",
    statement="""In segmentation, batch norm loses to group norm where a batch has fewer than eight images (after Wu and
        He 2018, of which the abstract was read: the error of batch norm increases rapidly with smaller batches, as their
        statistics are inaccurate; eight is not from there).""",
    method=f"""Scenes of 64×64 pixels, each with two to five overlapping MNIST digits of five classes, scraps of other
        digits, and noise; a class for each pixel, by an encoder and decoder of ten convolutions, 8 to 32 channels. The
        score is the mean intersection over union of six classes, the background included. {METHOD}""",
    rule=RULE,
    limits="""VOC's networks begin with ImageNet's weights; these begin with none, and learn for seconds. With 32
        images there are but 128 steps, after which no arm is done: the lead there tells who learns faster, and so
        does the difference between few images and 32. Larger batches with as many steps were not tried. Rates are
        chosen by what the moving averages give: others might be best for other statistics; † marks those at an edge.
        Where a batch's own statistics are used at evaluation, their noise is in the score, too, and counts as a loss
        of training. One image of 64×64 has many positions, so that even its statistics alone are not poor: with one
        image batch norm trains as instance normalisation does, and only its evaluation differs. The scenes are the
        same for all seeds.""",
    plan=partial(plan, "segmentation"), run=run, verdict=partial(verdict, MEASURE), figure=partial(figure, MEASURE),
    tables=partial(tables, MEASURE),
)  # fmt: skip
