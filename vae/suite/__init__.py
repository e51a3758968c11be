"""The benchmark suite: a grid of trainings, run anywhere, with its statistics and report."""
