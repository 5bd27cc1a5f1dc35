"""A network that forecasts the two ends of an interval, and its conformal repair.

In: a fit with ``interval_level`` and elements. Out: values per element by
:class:`lib.experiments.repair_scoring.Key`, at the level that the network was trained for.
"""

from typing import Any

from lib.data.dataset import FloatArray, SequenceDataset
from lib.experiments.repair_scoring import LEVEL, Columns, Key, elements
from lib.experiments.tuning import tuned
from lib.repair.conformal import Interval, cqr
from lib.study.units import Result
from lib.training.config import FitConfig
from lib.training.fitted import FittedModel, predict_interval

# The network's own interval, and the same after conformalised quantile regression.
RAW, REPAIRED = "quantiles", "cqr"


def quantile_fit(model: str, **settings: Any) -> FitConfig:
    """The settings of the network with two quantiles in place of the Gaussian head."""
    return tuned(model, interval_level=LEVEL, **settings)


class QuantileNetwork:
    """Forecasts of one such fit; a sample whose sequences it has just seen costs nothing."""

    def __init__(self, result: Result) -> None:
        self.model = FittedModel.from_arrays(result.arrays, result.meta)
        self.seen: dict[bytes, Interval] = {}

    def ends(self, data: SequenceDataset) -> Interval:
        """Ends of the interval of each element, (n,) each."""
        key = data.codes.tobytes()
        if key not in self.seen:
            self.seen[key] = Interval(*predict_interval(self.model, data.codes))
        return self.seen[key]


def quantile_columns(
    held: Interval, held_target: FloatArray, asked: Interval, target: FloatArray
) -> Columns:
    """Coverage, width and interval score of each asked element, raw and repaired.

    Parameters
    ----------
    held, asked : Interval
        The network's interval of calibration elements, one per group, and of those asked about.
    held_target, target : (m,), (n,) arrays
    """
    columns: Columns = {}
    intervals = {RAW: asked, REPAIRED: cqr((*held, held_target), *asked, LEVEL)}
    for name, interval in intervals.items():
        covered, width, score = elements(interval, target, LEVEL)
        values = {"picp_90": covered, "mpiw_90": width, "interval_score_90": score}
        columns |= {Key(name, "", metric): column for metric, column in values.items()}
    return columns
