"""Sweeps: which faults there are, in which order they are run, on how many benches, and what was done already."""
