"""The operations of neural networks, one file a family: kernel, forward and backward of an operation are together.

Features are always the last axis: (N, C) for vectors, (N, H, W, C) for images. So one mean per feature map (§3.2 of the
paper) is a mean over all axes but the last, and innermost loops run over neighbours in memory.
"""
