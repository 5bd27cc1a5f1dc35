"""Repairs: arithmetic, what each restores, guarantees by simulation, and what none can."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics.evaluate import all_metrics
from lib.repair import recalibration
from lib.repair.recalibration import InfiniteIntervalWarning
from tests.refusals import refused

LEVELS = (0.5, 0.8, 0.9, 0.95)


def draw(rng, n, scale=1.0, gain=1.0, offset=0.0):
    """A forecast with std too small by ``scale`` of targets moved by gain and offset."""
    mean = rng.normal(size=n)
    std = rng.uniform(0.5, 1.5, n)
    return mean, std / scale, offset + gain * mean + std * rng.normal(size=n)


def test_repairs_of_the_std_by_hand():
    # affine through (0, 1), (1, 2), (2, 4): slope 1.5, level 7/3; residuals 1/6, -1/3, 1/6
    fitted = recalibration.few_shot([0, 1, 2], [1, 1, 1], [1, 2, 4])
    assert fitted.gain == pytest.approx(1.5)
    assert fitted.offset == pytest.approx(7 / 3 - 1.5)
    assert fitted.scale == pytest.approx((1 / 6) ** 0.5)
    # squared errors 1, 9, 1, 16 at std 1 .. 4: 9 and 1 pool to 5
    fitted = recalibration.isotonic_std([0] * 4, [1, 2, 3, 4], [1, 3, 1, 4])
    values = fitted.apply(np.zeros(4), [1, 2, 3, 4])[1]
    assert values == pytest.approx([1, 5**0.5, 5**0.5, 4])
    floor = recalibration.isotonic_std([0, 0], [1, 2], [0, 2]).apply([0], [1])[1]
    assert floor[0] == pytest.approx((0.01 * 2) ** 0.5)  # of the mean square (0 + 4) / 2


@pytest.mark.parametrize(
    ("repair", "moved"),
    [(recalibration.std_scaling, {}), (recalibration.few_shot, {"offset": 1.5, "gain": 0.4})],
)
def test_each_undoes_its_shift(repair, moved):
    rng = np.random.default_rng(1)
    fitted = repair(*draw(rng, 1000, scale=2.0, **moved))
    mean, std, target = draw(rng, 20_000, scale=2.0, **moved)
    assert abs(all_metrics(mean, std, target)["coverage_gap_90"]) > 0.15
    assert abs(all_metrics(*fitted.apply(mean, std), target)["coverage_gap_90"]) < 0.03


def test_few_shot_scale_is_right_on_average():
    rng = np.random.default_rng(2)
    fits = (recalibration.few_shot(*draw(rng, 10, gain=0.5, offset=1)) for _ in range(2000))
    squares = [fitted.scale**2 for fitted in fits]
    assert np.mean(squares) == pytest.approx(1, abs=4 * np.std(squares) / 2000**0.5)


def test_isotonic_std_repairs_a_factor_that_varies():
    rng = np.random.default_rng(4)

    def wrong(n):
        true = rng.uniform(0.3, 2, n)
        return np.zeros(n), true**3, true * rng.normal(size=n)

    fitted = recalibration.isotonic_std(*wrong(20_000))
    mean, std, target = wrong(20_000)
    repaired = fitted.apply(mean, std)[1]
    assert all_metrics(mean, std, target)["ence"] > 0.3
    assert all_metrics(mean, repaired, target)["ence"] < 0.06
    scaled = recalibration.std_scaling(mean, std, target).apply(mean, std)[1]
    assert all_metrics(mean, scaled, target)["ence"] > 0.3
    grid = np.linspace(0.01, 20, 500)
    assert (np.diff(fitted.apply(np.zeros(500), grid)[1]) >= 0).all()


test_bad_input = refused(
    (lambda: recalibration.std_scaling([], [], []), "0 labelled elements"),
    (lambda: recalibration.std_scaling([1], [1], [1]), "residuals are all 0"),
    (lambda: recalibration.few_shot([1, 2], [1, 1], [1, 3]), "2 labelled elements; 3 or more"),
    (lambda: recalibration.few_shot([1] * 4, [1] * 4, [1, 2, 3, 4]), "mean is constant"),
    (lambda: recalibration.few_shot([1, 2, 3, 4], [1] * 4, [3, 5, 7, 9]), "all 0"),
    (lambda: recalibration.isotonic_std([0], [1], [0]), "all 0"),
    (lambda: recalibration.std_scaling([1], [0], [1]), r"std is 0.0"),
    (lambda: recalibration.split_cp(([0], [1, 2]), [0], 0.9), "target has 2 rows"),
    (lambda: recalibration.norm_cp(([0], [1], [1]), [0], [0], 0.5), r"std is 0.0 in row 0"),
    (lambda: recalibration.conformal_quantile([1.0], 1.0), r"level is 1.0"),
)


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(9, 0.9, 9), (19, 0.9, 18), (10, 0.9, 10), (99, 0.95, 95), (1, 0.5, 1), (4, 0.6, 3)],
)
def test_rank_is_exact(n, level, rank):
    # ceil((n + 1) level); (9 + 1) * .9 is 9.000000000000002 or 9 in floats: 9 either way
    assert recalibration.conformal_quantile(np.arange(1, n + 1), level) == rank


@pytest.mark.parametrize(("n", "level"), [(8, 0.9), (0, 0.5), (18, 0.95)])
def test_too_few_points_are_infinite_and_said(n, level):
    assert recalibration.conformal_quantile(np.arange(n), level) == np.inf
    with pytest.warns(InfiniteIntervalWarning, match=rf"100.0% of the .* for level {level}"):
        interval = recalibration.split_cp((np.zeros(n), np.arange(n)), [0], level)
    assert (interval.lower, interval.upper) == (-np.inf, np.inf)


def test_conformal_repairs_by_hand():
    target = np.arange(1.0, 10.0)  # |residual| 1 .. 9; rank ceil(10 * .8) = 8
    interval = recalibration.split_cp((np.zeros(9), target), [1.0, 2.0], 0.8)
    assert interval.lower.tolist() == [-7, -6]
    assert interval.upper.tolist() == [9, 10]
    scaled = recalibration.norm_cp((np.zeros(9), np.full(9, 0.5), target), [0.0], [2.0], 0.8)
    assert scaled.upper.tolist() == [32]  # scores 2 .. 18, q = 16, times 2
    # masses 1, 3, own 2: shares 1/6, 1/2, 1/3
    assert recalibration.weighted_quantile([5, 7], [1, 3], [2], 0.16).tolist() == [5]
    assert recalibration.weighted_quantile([5, 7], [1, 3], [2], 0.6).tolist() == [7]
    assert recalibration.weighted_quantile([5, 7], [1, 3], [2, 0], 0.7).tolist() == [np.inf, 7]
    with pytest.raises(ValueError, match=r"weights is -1.0 in row 1"):
        recalibration.weighted_quantile([1, 2], [1, -1], [1], 0.5)


def test_equal_weights_are_plain_conformal_and_mondrian_bins_stand_alone(rng):
    for n in (9, 20, 57):
        scores = rng.normal(size=n)
        for level in (0.5, 0.8, 0.9):
            plain = recalibration.conformal_quantile(scores, level)
            for scale in (1.0, 0.37):
                weights = np.full(n, scale)
                found = recalibration.weighted_quantile(scores, weights, [scale], level)
                assert found.tolist() == [plain]
    target = np.r_[np.arange(1.0, 10.0), np.arange(1.0, 11.0) * 10]
    known = np.zeros(19), np.ones(19), target
    bins, asked = np.repeat(["low", "high"], [9, 10]), ["low", "high", "other"]
    with pytest.warns(InfiniteIntervalWarning, match=r"33.3% of the intervals are infinite"):
        interval = recalibration.mondrian_cp(known, bins, [0, 0, 0], [1, 1, 1], asked, 0.8)
    assert interval.upper.tolist() == [8, 90, np.inf]  # ranks ceil(8) and ceil(8.8)


def test_one_per_group():
    groups = np.repeat([3, 1, 2], [5, 1, 4])
    rows = recalibration.one_per_group(groups, np.random.default_rng(0))
    assert sorted(groups[rows]) == [1, 2, 3]
    generators = map(np.random.default_rng, range(300))
    drawn = [recalibration.one_per_group(groups, rng)[0] for rng in generators]
    counts = np.bincount(drawn, minlength=5)
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > 0.001
    assert len(recalibration.one_per_group([], np.random.default_rng(0))) == 0


def held(interval, target):
    return (interval.lower <= target) & (target <= interval.upper)


def heavy(rng, n):
    mean = rng.normal(size=n)
    std = rng.uniform(0.5, 1.5, n)
    return mean, std, mean + std * rng.standard_t(4, n)  # tails the forecast knows nothing of


def by_weight(known, mean, std, level):
    alike = np.ones_like
    return recalibration.weighted_cp(known, alike(known[0]), mean, std, alike(mean), level)


def by_sign(known, mean, std, level):
    return recalibration.mondrian_cp(known, known[0] > 0, mean, std, mean > 0, level)


METHODS = {
    "split": lambda known, mean, std, level: recalibration.split_cp(known[::2], mean, level),
    "norm": recalibration.norm_cp,
    "weighted": by_weight,
    "mondrian": by_sign,
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_marginal_coverage_is_nominal(method, rng):
    n, m, repeats = 199, 200, 500  # calibration and test elements of each part
    covered = dict.fromkeys(LEVELS, 0.0)
    for _ in range(repeats):
        calibration, (mean, std, target) = heavy(rng, n), heavy(rng, m)
        for level in LEVELS:
            interval = METHODS[method](calibration, mean, std, level)
            covered[level] += held(interval, target).mean() / repeats
    for level, seen in covered.items():
        # given a part coverage is Beta((n + 1) level, (n + 1)(1 - level)): s.e. of its mean
        error = (level * (1 - level) * (1 / (n + 2) + 1 / m) / repeats) ** 0.5
        excess = 1 / (n // 3) if method == "mondrian" else 1 / (n + 1)
        assert level - 4 * error <= seen <= level + excess + 4 * error, (method, level)


@pytest.mark.slow
def test_mondrian_covers_in_each_bin_where_split_does_not():
    rng = np.random.default_rng(2)
    inside = {"mondrian": [], "split": []}
    for _ in range(300):
        bins, new = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
        y, target = (1 + 3 * bins) * rng.normal(size=400), (1 + 3 * new) * rng.normal(size=400)
        zeros, ones = np.zeros(400), np.ones(400)
        for name, interval in (
            ("mondrian", recalibration.mondrian_cp((zeros, ones, y), bins, zeros, ones, new, 0.9)),
            ("split", recalibration.split_cp((zeros, y), zeros, 0.9)),
        ):
            hit = held(interval, target)
            inside[name].append([hit[new == 0].mean(), hit[new == 1].mean()])
    assert np.mean(inside["mondrian"], axis=0) == pytest.approx([0.902, 0.902], abs=0.01)
    assert np.mean(inside["split"], axis=0)[1] < 0.85


@pytest.mark.slow
def test_a_concept_shift_breaks_every_method_as_its_closed_form_says():
    # residuals get a bias b at fixed x: coverage Phi(q - b) - Phi(-q - b), q = 1.645
    rng = np.random.default_rng(4)
    q = stats.norm.ppf(0.95)
    expected = stats.norm.cdf(q - 1.5) - stats.norm.cdf(-q - 1.5)
    found = []
    for _ in range(200):
        x, new = rng.normal(size=500), rng.normal(size=500)
        known = x, np.ones(500), x + rng.normal(size=500)
        target = new + 1.5 + rng.normal(size=500)
        found.append(held(by_weight(known, new, np.ones(500), 0.9), target).mean())
    assert np.mean(found) == pytest.approx(expected, abs=0.015)
    assert expected < 0.8


def test_the_density_ratio_of_a_tilt():
    rng = np.random.default_rng(9)
    reference = rng.normal(0.55, 0.08, 20_000)  # a GC law
    tilted = rng.normal(0.55 + 0.08, 0.08, 20_000)  # exp(lambda x), a mean shift of one sd
    grid = np.linspace(0.45, 0.7, 6)
    (ratio,) = recalibration.density_ratio(reference, tilted, grid)
    assert ratio == pytest.approx(np.exp((grid - 0.55) / 0.08 - 0.5), rel=0.1)
    (alone,) = recalibration.density_ratio(reference, reference[::-1], grid)
    assert alone == pytest.approx(np.ones(6), abs=0.05)
