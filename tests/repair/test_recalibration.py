import numpy as np
import pytest
from scipy import stats

from lib.metrics.columns import half_width
from lib.repair import recalibration
from tests.refusals import refused

LEVELS = (0.5, 0.8, 0.9, 0.95)


def test_repairs_of_the_std_by_hand():
    assert recalibration.std_scaling([0, 0], [1, 2], [3, -2]).scale == 5**0.5  # z is 3 and -1
    # affine through (0, 1), (1, 2), (2, 4): slope 1.5, level 7/3; residuals 1/6, -1/3, 1/6
    fitted = recalibration.few_shot([0, 1, 2], [1, 1, 1], [1, 2, 4])
    assert fitted.gain == pytest.approx(1.5)
    assert fitted.offset == pytest.approx(7 / 3 - 1.5)
    assert fitted.scale == pytest.approx((1 / 6) ** 0.5)
    repaired = np.concatenate(fitted.apply([2.0], [3.0]))
    assert repaired == pytest.approx([7 / 3 + 1.5, 3 * (1 / 6) ** 0.5])
    # squared errors 1, 9, 1, 16 at std 1 .. 4: 9 and 1 pool to 5; linear between, flat beyond
    fitted = recalibration.isotonic_std([0] * 4, [1, 2, 3, 4], [1, 3, 1, 4])
    values = fitted.apply(np.zeros(5), [0.5, 1.5, 2.5, 4, 9])[1]
    assert values == pytest.approx([1, (1 + 5**0.5) / 2, 5**0.5, 4, 4])
    floor = recalibration.isotonic_std([0, 0], [1, 2], [0, 2]).apply([0], [1])[1]
    assert floor[0] == pytest.approx((0.01 * 2) ** 0.5)  # of the mean square (0 + 4) / 2


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
def test_too_few_points_are_infinite(n, level):
    assert recalibration.conformal_quantile(np.arange(n), level) == np.inf
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
    assert recalibration.weighted_quantile([5, 7], [0, 0], [0], 0.6).tolist() == [np.inf]
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
def test_fitted_stds_undercover_as_their_docstrings_say(rng):
    def draw(n):
        mean, std = rng.normal(size=n), rng.uniform(0.5, 1.5, n)
        return mean, std, mean + 1.3 * std * rng.normal(size=n)

    mean, std, target = draw(4000)
    for repair, n, expected in (
        *((recalibration.isotonic_std, n, held) for n, held in ((100, 0.87), (1000, 0.89))),
        *((recalibration.few_shot, k, held) for k, held in ((10, 0.82), (20, 0.86), (50, 0.89))),
    ):
        held = []
        for _ in range(1500):
            centre, scale = repair(*draw(n)).apply(mean, std)
            held.append(np.mean(np.abs(target - centre) <= half_width(0.9) * scale))
        assert np.mean(held) == pytest.approx(expected, abs=0.01), (repair.__name__, n)


def test_the_density_ratio_of_a_tilt():
    rng = np.random.default_rng(9)
    reference = rng.normal(0.55, 0.08, 20_000)  # a GC law
    tilted = rng.normal(0.55 + 0.08, 0.08, 20_000)  # exp(lambda x), a mean shift of one sd
    grid = np.linspace(0.45, 0.7, 6)
    (ratio,) = recalibration.density_ratio(reference, tilted, grid)
    assert ratio == pytest.approx(np.exp((grid - 0.55) / 0.08 - 0.5), rel=0.1)
    (alone,) = recalibration.density_ratio(reference, reference[::-1], grid)
    assert alone == pytest.approx(np.ones(6), abs=0.05)
