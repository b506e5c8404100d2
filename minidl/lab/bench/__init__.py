"""Speed comparisons: minidl and whichever of PyTorch, JAX and TensorFlow are installed, in one run on one machine.

An absolute time means little on a machine that others use too, so everything here is compared. Each contender has a
process of its own. They take turns, one computing while the others are halted, and only ratios count.

    cases       what is timed: training steps and single operations, and the work in each
    ours, peers_torch, peers_jax, peers_tensorflow, peers_numpy    the contenders; a process imports one of them only
    worker      the process of a contender             remote    how to talk to it
    contest     contenders taking turns                parts     which cases, by whom
    quartiles   medians, quartiles, and ratios of them
    limits      what the machine can do at most        environment    which processor instructions may be used
    versions    another version of minidl, to compare with
    record, report    results as a dict, and as tables
"""
