"""Everything built with minidl: the paper's claims, the course, the benchmark, pictures, and the commands."""
