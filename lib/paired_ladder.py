"""A forecast trained in condition A, judged in condition B rung by rung.

In: a :class:`lib.paired.PairedAssay` and a forecast (mean, std) of y_A per element. Out: RMSE, ZMS
and coverage against y_B after each line of the ladder, and the share of the loss that it closes.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.paired import DRAWS, RUNGS, PairedAssay

FORECAST_RUNGS = ("reference", *RUNGS, "oracle_affine_noise")


def forecast_ladder(
    assay: PairedAssay,
    mean: ArrayLike,
    std: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = 0.9,
) -> pd.DataFrame:
    """Scores of a forecast of y_A against y_B after each rung.

    A rung's line maps the forecast into condition B: mean -> intercept + slope mean, std -> |slope|
    std. ``reference`` is the forecast against y_A; ``oracle_affine_noise`` adds to the oracle line's
    variance what the measured noise grew by, mean std_b^2 - slope^2 mean std_a^2 where positive.

    Parameters
    ----------
    mean, std : (n,) arrays
        In the unit of y_A; rows of anchors are not looked at.

    Returns
    -------
    DataFrame
        ``rung, metric, value, lower, upper, closed, closed_lower, closed_upper``; metrics
        ``picp_90``, ``zms``, ``rmse``. ``closed`` = (raw - rung) / (raw - reference); NaN where the
        interval of raw - reference holds 0: then there is no loss to close.
    """
    raise NotImplementedError
