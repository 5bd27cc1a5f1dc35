"""A noisy minority: what is mixed, and the best forecast of the mixture."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.experiments import worlds
from lib.experiments.world_measures import SHARE, VISIBLE, best, fit_mixed, mixed
from lib.experiments.worlds import NOISY, Arm, Condition, Sizes
from lib.metrics.evaluate import all_metrics


@pytest.fixture(scope="module")
def pair():
    return worlds.test_data(51, Condition(), 6000), worlds.test_data(51, NOISY, 6000)


@pytest.mark.parametrize("visible", VISIBLE)
def test_the_best_forecast_is_calibrated_where_it_knows_the_class(pair, visible):
    data, dominated = mixed(*pair, visible, np.random.default_rng(0))
    assert dominated.mean() == pytest.approx(SHARE, abs=0.03)
    kept = np.where(dominated, pair[1].activity, pair[0].activity)
    assert np.array_equal(data.activity, kept)
    assert (data.features is not None) == (visible == "feature")
    mean, std = best(data, dominated, visible)
    whole, noisy = (
        all_metrics(mean[rows], std[rows], data.activity[rows])
        for rows in (np.ones(len(mean), bool), dominated)
    )
    assert whole["zms"] == pytest.approx(1, abs=0.1)
    if visible != "nothing":
        assert noisy["zms"] == pytest.approx(1, abs=0.2)
    else:
        # Error variances .344 and 4 of Var f: 4 / (.85 * .344 + .15 * 4) = 4.48, whatever f is.
        assert noisy["zms"] == pytest.approx(4.48, rel=0.15)


def test_the_class_is_told_to_the_network_by_its_feature_alone():
    parts = Sizes(300, 100, 100, 400)
    config = SimpleNamespace(parts=parts, epochs=1, device="cpu", precision="auto", channels=0)
    units = {v: fit_mixed(v, Arm(51, "cnn", 300), config) for v in VISIBLE}
    data = {visible: unit.data["data"] for visible, unit in units.items()}
    assert [d.features is None for d in data.values()] == [True, True, False]
    assert np.array_equal(data["nothing"].activity, data["feature"].activity)
    rich = data["sequence"].activity != data["nothing"].activity
    assert data["sequence"].gc[rich].mean() > data["sequence"].gc.mean()
