"""Scenes of several digits: drawing them by seed, small networks for them, and how well these understand them.

    scenes = draw_scenes(data.mnist().train, 1000, seed=1)      # images, a class for each pixel, boxes
    net = segmenter(len(scenes.classes))                        # of SceneNet: a class for each pixel
    mean_iou(net(Tensor(pixels(scenes.images))).data.argmax(-1), scenes.masks, 11)

The centre-point detector is a `detector`, trained by `centre_loss`, whose answer `find_centres` reads.
"""

from minidl.lab.scenes.centres import centre_loss, centre_targets, find_centres
from minidl.lab.scenes.draw import Objects, Scenes, draw_scenes
from minidl.lab.scenes.nets import FrozenBatchNorm, SceneNet, detector, freeze, pixels, segmenter
from minidl.lab.scenes.scores import average_precisions, box_iou, class_ious, mean_average_precision, mean_iou

__all__ = ["FrozenBatchNorm", "Objects", "SceneNet", "Scenes", "average_precisions", "box_iou", "centre_loss",
           "centre_targets", "class_ious", "detector", "draw_scenes", "find_centres", "freeze", "mean_average_precision",
           "mean_iou", "pixels", "segmenter"]  # fmt: skip
