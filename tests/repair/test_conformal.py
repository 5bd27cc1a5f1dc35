"""Conformal intervals: arithmetic of the quantiles, guarantees by simulation, edges."""

import warnings

import numpy as np
import pytest
from scipy import stats

from lib.repair import conformal
from lib.repair.conformal import InfiniteIntervalWarning, Interval

LEVELS = (0.5, 0.8, 0.9, 0.95)


@pytest.mark.parametrize(
    ("n", "level", "rank"),
    [(9, 0.9, 9), (19, 0.9, 18), (10, 0.9, 10), (99, 0.95, 95), (1, 0.5, 1), (4, 0.6, 3)],
)
def test_rank_is_exact(n, level, rank):
    # ceil((n + 1) level); (9 + 1) * .9 is 9.000000000000002 or 9 in floats: 9 either way
    assert conformal.conformal_quantile(np.arange(1, n + 1), level) == rank


@pytest.mark.parametrize(("n", "level"), [(8, 0.9), (0, 0.5), (18, 0.95)])
def test_too_few_points_are_infinite_and_said(n, level):
    with pytest.warns(InfiniteIntervalWarning, match=f"{n} calibration scores"):
        assert conformal.conformal_quantile(np.arange(n), level) == np.inf


def test_least_number_in_the_warning_is_right():
    with pytest.warns(InfiniteIntervalWarning, match="level 0.9 needs 9"):
        conformal.conformal_quantile([1.0], 0.9)
    with pytest.warns(InfiniteIntervalWarning, match="level 0.95 needs 19"):
        conformal.conformal_quantile([1.0], 0.95)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conformal.conformal_quantile(np.arange(19.0), 0.95)


def test_split_and_normalised_by_hand():
    target = np.arange(1.0, 10.0)  # |residual| 1 .. 9; rank ceil(10 * .8) = 8
    interval = conformal.split_cp((np.zeros(9), target), [1.0, 2.0], 0.8)
    assert interval.lower.tolist() == [-7, -6]
    assert interval.upper.tolist() == [9, 10]
    scaled = conformal.norm_cp((np.zeros(9), np.full(9, 0.5), target), [0.0], [2.0], 0.8)
    assert scaled.upper.tolist() == [32]  # scores 2 .. 18, q = 16, times 2


def test_cqr_narrows_but_never_crosses():
    target = np.full(9, 0.5)  # all inside [0, 1] by .5: scores -.5
    interval = conformal.cqr((np.zeros(9), np.ones(9), target), [0.0, 0.0], [2.0, 0.4], 0.8)
    assert interval.lower.tolist() == [0.5, 0.2]
    assert interval.upper.tolist() == [1.5, 0.2]


def test_equal_weights_are_plain_conformal():
    rng = np.random.default_rng(0)
    for n in (9, 20, 57):
        scores = rng.normal(size=n)
        for level in (0.5, 0.8, 0.9):
            plain = conformal.conformal_quantile(scores, level)
            for scale in (1.0, 0.37):
                weights = np.full(n, scale)
                found = conformal.weighted_quantile(scores, weights, [scale], level)
                assert found.tolist() == [plain]


def test_weighted_quantile_by_hand():
    # masses 1, 3, own 2: shares 1/6, 1/2, 1/3
    assert conformal.weighted_quantile([5, 7], [1, 3], [2], 0.16).tolist() == [5]
    assert conformal.weighted_quantile([5, 7], [1, 3], [2], 0.6).tolist() == [7]
    with pytest.warns(InfiniteIntervalWarning, match=r"50.0% of the intervals"):
        found = conformal.weighted_quantile([5, 7], [1, 3], [2, 0], 0.7)
    assert found.tolist() == [np.inf, 7]
    with pytest.raises(ValueError, match=r"weights is -1.0 in row 1"):
        conformal.weighted_quantile([1, 2], [1, -1], [1], 0.5)


def test_effective_size():
    assert conformal.n_eff([2, 2, 2]) == 3
    assert conformal.n_eff([3, 1]) == pytest.approx(16 / 10)
    assert conformal.n_eff([]) == 0
    assert conformal.n_eff([0, 0]) == 0


def test_mondrian_bins_stand_alone():
    calibration = (
        np.zeros(19),
        np.ones(19),
        np.r_[np.arange(1.0, 10.0), np.arange(1.0, 11.0) * 10],
    )
    bins = np.repeat(["low", "high"], [9, 10])
    with pytest.warns(InfiniteIntervalWarning, match=r"in bins \['other'\]"):
        interval = conformal.mondrian_cp(
            calibration, bins, [0, 0, 0], [1, 1, 1], ["low", "high", "other"], 0.8
        )
    assert interval.upper.tolist() == [8, 90, np.inf]  # ranks ceil(8) and ceil(8.8)


def test_one_per_group():
    groups = np.repeat([3, 1, 2], [5, 1, 4])
    rows = conformal.one_per_group(groups, np.random.default_rng(0))
    assert sorted(groups[rows]) == [1, 2, 3]
    drawn = [conformal.one_per_group(groups, np.random.default_rng(seed))[0] for seed in range(300)]
    counts = np.bincount(drawn, minlength=5)
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > 0.001
    assert len(conformal.one_per_group([], np.random.default_rng(0))) == 0


def test_hierarchical_quantile():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=30)
    singletons = conformal.hierarchical_quantile(scores, np.arange(30), 0.9)
    assert singletons == conformal.conformal_quantile(scores, 0.9)
    with pytest.warns(InfiniteIntervalWarning):
        assert conformal.hierarchical_quantile(scores, np.zeros(30), 0.6) == np.inf


def test_report():
    interval = Interval(np.array([0.0, 0.0, -np.inf]), np.array([1.0, 3.0, np.inf]))
    report = conformal.interval_report(interval, [2.0, 2.0, 2.0])
    assert report == (2 / 3, 2.0, pytest.approx(1 / 3), 3)
    empty = conformal.interval_report(Interval(np.array([]), np.array([])), [])
    assert np.isnan(empty.coverage)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformal.split_cp(([0], [1, 2]), [0], 0.9), "target has 2 rows"),
        (lambda: conformal.norm_cp(([0], [0], [1]), [0], [1], 0.9), r"std is 0.0 in row 0"),
        (lambda: conformal.norm_cp(([0], [1], [1]), [0], [0], 0.5), r"std is 0.0 in row 0"),
        (lambda: conformal.conformal_quantile([1.0, np.nan], 0.5), "scores is nan in row 1"),
        (lambda: conformal.conformal_quantile([1.0], 1.0), r"level is 1.0"),
        (lambda: conformal.cqr(([0], [1], [1]), [0, 0], [1], 0.5), "upper has 1 rows"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Guarantees. 500 calibration parts of 199, 200 test elements each; the coverage given a part is
# Beta((n + 1) level, (n + 1)(1 - level)), so its mean over parts has the s.e. computed here.


def standard_error(n, m, repeats, level):
    part = level * (1 - level) / (n + 2)
    return ((part + level * (1 - level) / m) / repeats) ** 0.5


def draw(rng, n):
    mean = rng.normal(size=n)
    std = rng.uniform(0.5, 1.5, n)
    return mean, std, mean + std * rng.standard_t(4, n)  # tails the forecast knows nothing of


def by_cqr(calibration, mean, std, level):
    centre, spread, target = calibration
    ends = (centre - spread / 2, centre + spread / 2, target)
    return conformal.cqr(ends, mean - std / 2, mean + std / 2, level)


def by_weight(calibration, mean, std, level):
    ones = np.ones_like
    return conformal.weighted_cp(calibration, ones(calibration[0]), mean, std, ones(mean), level)


METHODS = {
    "split": lambda c, mean, std, level: conformal.split_cp(c[::2], mean, level),
    "norm": conformal.norm_cp,
    "cqr": by_cqr,
    "weighted": by_weight,
    "group": lambda c, mean, std, level: conformal.group_cp(c, c[0], mean, std, level),
    "mondrian": lambda c, mean, std, level: conformal.mondrian_cp(
        c, c[0] > 0, mean, std, mean > 0, level
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_marginal_coverage_is_nominal(method):
    rng = np.random.default_rng(0)
    n, m, repeats = 199, 200, 500
    covered = dict.fromkeys(LEVELS, 0.0)
    for _ in range(repeats):
        calibration, (mean, std, target) = draw(rng, n), draw(rng, m)
        for level in LEVELS:
            interval = METHODS[method](calibration, mean, std, level)
            covered[level] += conformal.interval_report(interval, target).coverage / repeats
    for level, seen in covered.items():
        error = standard_error(n, m, repeats, level)
        excess = 1 / (n // 3) if method == "mondrian" else 1 / (n + 1)
        assert level - 4 * error <= seen <= level + excess + 4 * error, (method, level)


@pytest.mark.slow
def test_weighted_conformal_covers_under_a_known_tilt():
    # x ~ N(0, 1) tilted by exp(x): N(1, 1); residual spread grows with x, so plain conformal fails
    rng = np.random.default_rng(1)
    plain, weighted, repeats = [], [], 400
    for _ in range(repeats):
        x, new = rng.normal(size=600), rng.normal(1, 1, 200)
        y, target = np.exp(x / 2) * rng.normal(size=600), np.exp(new / 2) * rng.normal(size=200)
        ones, more = np.ones(600), np.ones(200)
        interval = conformal.norm_cp((0 * x, ones, y), 0 * new, more, 0.9)
        plain.append(conformal.interval_report(interval, target).coverage)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InfiniteIntervalWarning)
            interval = conformal.weighted_cp(
                (0 * x, ones, y), np.exp(x), 0 * new, more, np.exp(new), 0.9
            )
        weighted.append(conformal.interval_report(interval, target).coverage)
    error = np.std(weighted) / repeats**0.5
    assert 0.9 - 3 * error <= np.mean(weighted) <= 0.9 + 0.02
    assert np.mean(plain) < 0.85


@pytest.mark.slow
def test_mondrian_covers_in_each_bin_where_split_does_not():
    rng = np.random.default_rng(2)
    inside = {"mondrian": [], "split": []}
    for _ in range(300):
        bins, new = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
        y, target = (1 + 3 * bins) * rng.normal(size=400), (1 + 3 * new) * rng.normal(size=400)
        calibration, zeros, ones = (np.zeros(400), np.ones(400), y), np.zeros(400), np.ones(400)
        for name, interval in (
            ("mondrian", conformal.mondrian_cp(calibration, bins, zeros, ones, new, 0.9)),
            ("split", conformal.split_cp(calibration[::2], zeros, 0.9)),
        ):
            hit = (interval.lower <= target) & (target <= interval.upper)
            inside[name].append([hit[new == 0].mean(), hit[new == 1].mean()])
    assert np.mean(inside["mondrian"], axis=0) == pytest.approx([0.902, 0.902], abs=0.01)
    assert np.mean(inside["split"], axis=0)[1] < 0.85


@pytest.mark.slow
def test_group_conformal_covers_new_groups_where_rows_do_not():
    rng = np.random.default_rng(3)
    rows, grouped, single = [], [], []
    for _ in range(400):
        sizes = rng.choice([1, 30], 40, p=[0.7, 0.3])  # large groups are quiet
        labels = np.repeat(np.arange(40), sizes)
        spread = np.where(sizes == 30, 0.3, 1.5)[labels]
        y = spread * rng.normal(size=len(labels))
        calibration = (np.zeros(len(y)), np.ones(len(y)), y)
        target = np.where(rng.uniform(size=100) < 0.3, 0.3, 1.5) * rng.normal(size=100)
        zeros, ones = np.zeros(100), np.ones(100)
        chosen = conformal.one_per_group(labels, rng)
        for found, interval in (
            (rows, conformal.norm_cp(calibration, zeros, ones, 0.9)),
            (grouped, conformal.group_cp(calibration, labels, zeros, ones, 0.9)),
            (single, conformal.norm_cp(tuple(c[chosen] for c in calibration), zeros, ones, 0.9)),
        ):
            found.append(conformal.interval_report(interval, target).coverage)
    assert np.mean(rows) < 0.7
    for found in (grouped, single):
        error = np.std(found) / 400**0.5
        assert 0.9 - 4 * error <= np.mean(found) <= 0.9 + 1 / 41 + 4 * error


@pytest.mark.slow
def test_a_concept_shift_breaks_every_method_as_its_closed_form_says():
    # residuals get a bias b at fixed x: coverage Phi(q - b) - Phi(-q - b), q = 1.645
    rng = np.random.default_rng(4)
    q = stats.norm.ppf(0.95)
    expected = stats.norm.cdf(q - 1.5) - stats.norm.cdf(-q - 1.5)
    found = []
    for _ in range(200):
        x, new = rng.normal(size=500), rng.normal(size=500)
        calibration = (x, np.ones(500), x + rng.normal(size=500))
        target = new + 1.5 + rng.normal(size=500)
        interval = conformal.weighted_cp(
            calibration, np.ones(500), new, np.ones(500), np.ones(500), 0.9
        )
        found.append(conformal.interval_report(interval, target).coverage)
    assert np.mean(found) == pytest.approx(expected, abs=0.015)
    assert expected < 0.8
