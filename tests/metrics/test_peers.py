"""Agreement with other packages to 1e-8 on 100 random cases each; skipped where one is absent."""

import warnings

import numpy as np
import pytest

from lib.metrics import calibration, scores
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


def test_uncertainty_toolbox_scores():
    uct = peer("uncertainty_toolbox")
    levels = np.linspace(0.01, 0.99, 99)
    for _, mean, std, target in cases(0):
        theirs = uct.get_all_scoring_rule_metrics(mean, std, target, 99, True, verbose=False)
        del theirs["check"]
        ours = {
            "nll": scores.nll_gaussian(mean, std, target),
            "crps": scores.crps_gaussian(mean, std, target),
        }
        interval = np.mean([scores.interval_score(mean, std, target, p) for p in levels])
        assert ours | {"interval": interval} == pytest.approx(theirs, abs=1e-8, rel=1e-10)
        assert scores.sharpness(std) == pytest.approx(uct.sharpness(std), abs=1e-8)


@pytest.mark.parametrize("kind", ["interval", "quantile"])
def test_uncertainty_toolbox_calibration(kind):
    uct = peer("uncertainty_toolbox")
    for _, mean, std, target in cases(2):
        forecast = mean, std, target
        mace = uct.mean_absolute_calibration_error(*forecast, prop_type=kind)
        rmsce = uct.root_mean_squared_calibration_error(*forecast, prop_type=kind)
        area = uct.miscalibration_area(*forecast, prop_type=kind)
        assert calibration.mace(*forecast, kind) == pytest.approx(mace, abs=1e-8)
        assert calibration.rmsce(*forecast, kind) == pytest.approx(rmsce, abs=1e-8)
        assert calibration.miscal_area(*forecast, kind) == pytest.approx(area, abs=1e-8)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (0.5, (0.19429, 0.21753, 0.19625)),
        (2.0, (0.20692, 0.23003, 0.20901)),
        (1.0, (0.00862, 0.01040, 0.00865)),
    ],
)
def test_uncertainty_toolbox_printed_example(factor, expected):
    uct = peer("uncertainty_toolbox")
    np.random.seed(11)  # the peer draws from the global state
    mean, std, target, _ = uct.synthetic_sine_heteroscedastic(650)
    seen = [
        metric(mean, factor * std, target)
        for metric in (calibration.mace, calibration.rmsce, calibration.miscal_area)
    ]
    assert seen == pytest.approx(expected, abs=6e-6)  # five digits are printed


def plain_regressor():
    base = peer("sklearn.base")

    class FirstColumn(base.RegressorMixin, base.BaseEstimator):
        """Predicts one column of X."""

        def __init__(self, column=0):
            self.column = column

        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def predict(self, X):
            return np.asarray(X)[:, self.column]

    return FirstColumn


def test_mapie_split_conformal():
    mapie = peer("mapie.regression")
    fitted = plain_regressor()().fit(None)
    for rng, mean, _, target in cases(4, least=30):
        level = float(rng.choice([0.5, 0.8, 0.9]))
        new = rng.normal(size=7)
        model = mapie.SplitConformalRegressor(fitted, confidence_level=level, prefit=True)
        model.conformalize(mean[:, None], target)
        _, theirs = model.predict_interval(new[:, None])
        ours = recalibration.split_cp((mean, target), new, level)
        np.testing.assert_allclose(ours.lower, theirs[:, 0, 0], atol=1e-8)
        np.testing.assert_allclose(ours.upper, theirs[:, 1, 0], atol=1e-8)


def test_mapie_interval_metrics():
    mapie = peer("mapie.metrics.regression")
    for rng, mean, std, target in cases(6):
        level = float(rng.uniform(0.05, 0.99))
        lower, upper = scores.interval(mean, std, level)
        ends = np.column_stack([lower, upper])
        width = mapie.regression_mean_width_score(ends[:, :, None])[0]
        seen = mapie.regression_coverage_score(target, ends[:, :, None])[0]
        winkler = mapie.regression_mwi_score(target, ends[:, :, None], level)
        assert scores.mpiw(std, level) == pytest.approx(width, abs=1e-8)
        assert scores.picp(mean, std, target, level) == pytest.approx(seen, abs=1e-8)
        assert scores.interval_score(mean, std, target, level) == pytest.approx(winkler, abs=1e-8)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pairs = [
                (
                    recalibration.norm_cp((mean, std, target), new, new_std, level),
                    normalised.predict_int(new, sigmas=new_std, confidence=level),
                ),
                (
                    recalibration.mondrian_cp(
                        (mean, std, target), bins, new, new_std, new_bins, level
                    ),
                    mondrian.predict_int(new, sigmas=new_std, bins=new_bins, confidence=level),
                ),
            ]
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours.lower, theirs[:, 0], atol=1e-8)
            np.testing.assert_allclose(ours.upper, theirs[:, 1], atol=1e-8)
