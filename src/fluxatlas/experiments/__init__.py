"""A grid of experiments: which network, which way from simulation to observation, judged on what it has not seen."""
