"""One file for each claim of the paper (Ioffe and Szegedy 2015, arXiv 1502.03167), and Figure 1."""
