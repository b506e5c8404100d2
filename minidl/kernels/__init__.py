"""Kernels that several operations share, and Winograd's convolution: arrays in, arrays filled. All of Numba is here."""
