"""Gain of each genotype and promoter with the elements whose mean activity was zero.

In: :class:`lib.experiments.real_assays.Assays`. Out: a table of lines on wild type: least squares
over the elements quantified everywhere, and censored regression over all of them, where a mean of
zero says that the activity lies at or below a limit.
"""

import numpy as np
import pandas as pd

from lib.experiments.real_arms import GENOTYPE, PROMOTER, quantified
from lib.experiments.real_assays import Assays
from lib.experiments.real_severity import CONTROL, target_name
from lib.metrics.bootstrap import group_bootstrap_weights, percentile_interval
from lib.statistics.noise import censored_line

MOST_DRAWS = 200  # each is a fit of its own
TREATMENTS = ("least squares, quantified", "censored regression, all")


def censored_lines(assays: Assays, draws: int) -> pd.DataFrame:
    """Slope on wild type on rho and residual standard deviation, each both ways.

    Parameters
    ----------
    assays : Assays
    draws : int
        Of the bootstrap over groups; at most :data:`MOST_DRAWS` are made.

    Returns
    -------
    DataFrame
        Columns ``shift, condition, treatment, quantity, value, lower, upper, n, censored``.
    """
    first = assays.genotypes[PROMOTER]
    reference = first.column(GENOTYPE)
    test = (first.metadata["variant_type"] != CONTROL).to_numpy() & ~first.censored[:, reference]
    everywhere = np.isin(np.arange(len(test)), quantified(assays))
    found = []
    for promoter, assay in assays.genotypes.items():
        for column, genotype in enumerate(assay.genotypes):
            if (promoter, genotype) == (PROMOTER, GENOTYPE):
                continue
            shift, condition = target_name(promoter, genotype)
            for treatment, rows in zip(TREATMENTS, (test & everywhere, test), strict=True):
                x, y = first.activity[rows, reference], assay.activity[rows, column]
                below = assay.censored[rows, column]
                weights, groups = group_bootstrap_weights(
                    first.group[rows], min(draws, MOST_DRAWS), np.random.default_rng(0)
                )
                line = censored_line(x, y, below)
                drawn = [censored_line(x, y, below, weight=w[groups.codes]) for w in weights]
                for quantity in ("slope", "std"):
                    lower, upper = percentile_interval(
                        np.array([getattr(each, quantity) for each in drawn])
                    )
                    found.append(
                        {
                            "shift": shift,
                            "condition": condition,
                            "treatment": treatment,
                            "quantity": quantity,
                            "value": getattr(line, quantity),
                            "lower": float(lower),
                            "upper": float(upper),
                            "n": int(rows.sum()),
                            "censored": int(below.sum()),
                        }
                    )
    return pd.DataFrame(found)
