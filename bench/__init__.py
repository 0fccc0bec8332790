"""Measurements: ratios within one run, on whatever machine this is."""
