"""Agreement with other packages to 1e-8 on 100 random cases each; skipped where one is absent."""

import numpy as np
import pytest

from lib.metrics.columns import metric
from lib.metrics.evaluate import all_metrics
from lib.repair import recalibration

CASES = 100
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def peer(name):
    return pytest.importorskip(
        name, reason=f"{name} is not installed; benchmarks/peers.txt lists it"
    )


def cases(seed, least=2):
    rng = np.random.default_rng(seed)
    for _ in range(CASES):
        n = int(rng.integers(least, 150))
        mean = rng.normal(size=n) * 2
        std = rng.uniform(0.05, 2, n)
        yield rng, mean, std, mean + rng.uniform(0.3, 3) * std * rng.normal(size=n)


def test_uncertainty_toolbox_scores_and_calibration():
    uct = peer("uncertainty_toolbox")
    levels = np.linspace(0.01, 0.99, 99)
    for _, mean, std, target in cases(0):
        theirs = uct.get_all_scoring_rule_metrics(mean, std, target, 99, True, verbose=False)
        del theirs["check"]
        ours = {k: metric(f"{k}_gaussian", mean, target, std) for k in ("nll", "crps")}
        widths = np.mean([metric("interval_score", mean, target, std, p) for p in levels])
        assert ours | {"interval": widths} == pytest.approx(theirs, abs=1e-8, rel=1e-10)
        assert metric("sharpness", mean, target, std) == pytest.approx(uct.sharpness(std), abs=1e-8)
        forecast = mean, std, target
        theirs = {
            "mace": uct.mean_absolute_calibration_error(*forecast, prop_type="interval"),
            "rmsce": uct.root_mean_squared_calibration_error(*forecast, prop_type="interval"),
            "miscal_area": uct.miscalibration_area(*forecast, prop_type="interval"),
        }
        ours = all_metrics(*forecast)
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-8)


def test_crepes_normalised_and_mondrian():
    crepes = peer("crepes")
    for rng, mean, std, target in cases(7, least=12):
        # at .8 and .9 crepes' (1 - level) * (n + 1) falls short of whole numbers by rounding
        level = float(rng.choice([0.5, 0.813, 0.907]))
        bins = rng.integers(0, 2, len(mean))
        new, new_std = rng.normal(size=5), rng.uniform(0.1, 2, 5)
        new_bins = np.array([0, 1, 1, 0, 1])
        normalised = crepes.ConformalRegressor().fit(target - mean, sigmas=std)
        mondrian = crepes.ConformalRegressor().fit(target - mean, sigmas=std, bins=bins)
        known, asked = (mean, std, target), {"sigmas": new_std, "confidence": level}
        ours = recalibration.norm_cp(known, new, new_std, level)
        theirs = normalised.predict_int(new, **asked)
        np.testing.assert_allclose(np.column_stack(ours), theirs, atol=1e-8)
        ours = recalibration.mondrian_cp(known, bins, new, new_std, new_bins, level)
        theirs = mondrian.predict_int(new, bins=new_bins, **asked)
        np.testing.assert_allclose(np.column_stack(ours), theirs, atol=1e-8)
