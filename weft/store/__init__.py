"""Where intent lives: get, compare-and-swap, watch, and nothing else."""
