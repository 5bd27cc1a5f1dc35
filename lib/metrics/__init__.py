"""Metrics of a Gaussian forecast as pure vectorised functions of ``(mean, std, target)``.

In: vectors ``(n,)`` in one unit. Out: a float, or arrays where a docstring says so. Every docstring
gives orientation, range, the value for too few elements and what the metric does not measure.
Names are those of result tables.
"""
