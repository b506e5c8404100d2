"""Pictures of training: plain arrays in, a matplotlib Axes or Figure out. The only folder that imports matplotlib.

Every function draws where it is told (`ax=`, `figure=`), or makes a figure; `save` writes one to a file and closes it.
None shows anything or changes matplotlib's settings. Titles are computed from the numbers drawn. Lines differ in colour,
lightness and dashes, so that they stay apart in grey and for colour-blind eyes.
"""

from minidl.lab.plot._style import INKS, caption, label, png, save
from minidl.lab.plot.cells import cells
from minidl.lab.plot.curves import accuracy_curves, loss_curves, update_ratios
from minidl.lab.plot.describe import describe
from minidl.lab.plot.diagrams import batch_table, flow, joined, network
from minidl.lab.plot.digits import misclassified, prediction
from minidl.lab.plot.distributions import histogram_grid, histograms_over_time, percentile_bands
from minidl.lab.plot.grids import line_grid
from minidl.lab.plot.images import images
from minidl.lab.plot.levels import contours
from minidl.lab.plot.live import live
from minidl.lab.plot.matrices import heat_map, log_map
from minidl.lab.plot.paper import figure1
from minidl.lab.plot.photos import photo_report
from minidl.lab.plot.ridges import ridges
from minidl.lab.plot.roofline import roofline
from minidl.lab.plot.slopes import slope_zones
from minidl.lab.plot.studies import checks, dots, intervals, lines, panels, strands
from minidl.lab.plot.tallies import tallies
from minidl.lab.plot.threes import batches_of_three
from minidl.lab.plot.units import unit_bands

__all__ = ["INKS", "accuracy_curves", "batch_table", "batches_of_three", "caption", "cells", "checks", "contours",
           "describe", "dots", "figure1", "flow", "heat_map", "histogram_grid", "histograms_over_time", "images",
           "intervals", "joined", "label", "line_grid", "lines", "live", "log_map", "loss_curves", "misclassified",
           "network", "panels", "percentile_bands", "photo_report", "png", "prediction", "ridges", "roofline", "save",
           "slope_zones", "strands", "tallies", "unit_bands", "update_ratios"]  # fmt: skip
