"""Arrays in, arrays filled, no Tensor anywhere: the loops that do the work. The only folder that knows Numba."""
