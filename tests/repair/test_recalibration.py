"""Recalibration: arithmetic, what each repair restores, and what it cannot."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics import calibration, scores, selective
from lib.repair import recalibration
from lib.repair.conformal import InfiniteIntervalWarning


def draw(rng, n, scale=1.0, gain=1.0, offset=0.0):
    """A forecast with std too small by ``scale`` of targets moved by gain and offset."""
    mean = rng.normal(size=n)
    std = rng.uniform(0.5, 1.5, n)
    return mean, std / scale, offset + gain * mean + std * rng.normal(size=n)


def test_std_scaling():
    mean, std, target = draw(np.random.default_rng(0), 5000, scale=2)
    fitted = recalibration.std_scaling(mean, std, target)
    assert fitted.scale == pytest.approx(2, abs=0.05)
    assert (fitted.gain, fitted.offset) == (1, 0)
    new_mean, new_std = fitted.apply(mean, std)
    assert (new_mean == mean).all()
    assert scores.zms(new_mean, new_std, target) == pytest.approx(1, abs=1e-12)
    loss = (target - mean) ** 2
    assert selective.aurc(loss, new_std) == pytest.approx(selective.aurc(loss, std))
    one = recalibration.std_scaling([0], [2], [6])
    assert one.scale == 3


def test_few_shot_by_hand():
    # offset: weights 1/1, 1/4 -> (2 * 1 + 4 * .25) / 1.25 = 2.4; z = -.4, .8; sum .8 over 2 - 1
    fitted = recalibration.few_shot([0, 0], [1, 2], [2, 4], kind="offset")
    assert fitted.offset == pytest.approx(2.4)
    assert fitted.scale == pytest.approx(0.8**0.5)
    assert fitted.gain == 1
    # affine through (0, 1), (1, 2), (2, 4): slope 1.5, level 7/3; residuals 1/6, -1/3, 1/6
    fitted = recalibration.few_shot([0, 1, 2], [1, 1, 1], [1, 2, 4], kind="affine")
    assert fitted.gain == pytest.approx(1.5)
    assert fitted.offset == pytest.approx(7 / 3 - 1.5)
    assert fitted.scale == pytest.approx((1 / 6) ** 0.5)


@pytest.mark.parametrize("kind", ["scale", "offset", "affine"])
def test_each_kind_undoes_its_shift(kind):
    rng = np.random.default_rng(1)
    shift = {"scale": 2.0}
    if kind != "scale":
        shift["offset"] = 1.5
    if kind == "affine":
        shift["gain"] = 0.4
    fitted = recalibration.few_shot(*draw(rng, 1000, **shift), kind=kind)
    mean, std, target = draw(rng, 20_000, **shift)
    assert abs(scores.coverage_gap(mean, std, target)) > 0.15
    assert abs(scores.coverage_gap(*fitted.apply(mean, std), target)) < 0.03


def test_few_shot_scale_is_right_on_average():
    rng = np.random.default_rng(2)
    squares = [
        recalibration.few_shot(*draw(rng, 10, gain=0.5, offset=1), kind="affine").scale ** 2
        for _ in range(2000)
    ]
    assert np.mean(squares) == pytest.approx(1, abs=4 * np.std(squares) / 2000**0.5)


def test_affine_cannot_repair_a_rewired_program():
    rng = np.random.default_rng(3)
    program = rng.normal(size=(20_000, 2))
    std = np.full(20_000, 0.5)
    mean = program.sum(axis=1)
    target = program[:, 0] - program[:, 1] + std * rng.normal(size=20_000)  # one effect flipped
    fitted = recalibration.few_shot(mean, std, target, kind="affine")
    assert fitted.gain == pytest.approx(0, abs=0.03)
    repaired = fitted.apply(mean, std)
    assert scores.coverage_gap(*repaired, target) == pytest.approx(0, abs=0.02)  # but useless:
    assert repaired[1][0] > 2 * std[0]


def test_isotonic_std_repairs_a_factor_that_varies():
    rng = np.random.default_rng(4)

    def wrong(n):
        true = rng.uniform(0.3, 2, n)
        return np.zeros(n), true**3, true * rng.normal(size=n)

    fitted = recalibration.isotonic_std(*wrong(20_000))
    mean, std, target = wrong(20_000)
    repaired = fitted.apply(mean, std)[1]
    assert calibration.ence(mean, std, target) > 0.3
    assert calibration.ence(mean, repaired, target) < 0.06
    scaled = recalibration.std_scaling(mean, std, target).apply(mean, std)[1]
    assert calibration.ence(mean, scaled, target) > 0.3
    grid = np.linspace(0.01, 20, 500)
    assert (np.diff(fitted.apply(np.zeros(500), grid)[1]) >= 0).all()


def test_isotonic_std_by_hand():
    # squared errors 1, 9, 1, 16 at std 1 .. 4: 9 and 1 pool to 5
    fitted = recalibration.isotonic_std([0] * 4, [1, 2, 3, 4], [1, 3, 1, 4])
    values = fitted.apply(np.zeros(4), [1, 2, 3, 4])[1]
    assert values == pytest.approx([1, 5**0.5, 5**0.5, 4])
    floor = recalibration.isotonic_std([0, 0], [1, 2], [0, 2], floor=0.1).apply([0], [1])[1]
    assert floor[0] == pytest.approx((0.1 * 2) ** 0.5)  # a tenth of the mean square (0 + 4) / 2


def test_isotonic_quantile_repairs_shape():
    rng = np.random.default_rng(5)

    def skewed(n):
        return np.zeros(n), np.full(n, 2.0), rng.exponential(size=n)

    fitted = recalibration.isotonic_quantile(*skewed(20_000))
    mean, std, target = skewed(20_000)
    for level in (0.5, 0.8, 0.9, 0.95):
        lower, upper = fitted.interval(mean, std, level)
        assert np.mean((lower <= target) & (target <= upper)) == pytest.approx(level, abs=0.012)
    assert lower[0] == pytest.approx(stats.expon.ppf(0.025), abs=0.01)
    assert stats.kstest(fitted.pit(mean, std, target), "uniform").statistic < 0.02


def test_isotonic_quantile_by_hand():
    fitted = recalibration.isotonic_quantile([0] * 3, [1] * 3, [3.0, -1.0, 1.0])
    # nominal 1/4, 1/2, 3/4 lie at -1, 1, 3
    for share, place in ((0.25, -1), (0.5, 1), (0.75, 3)):
        assert fitted.quantile([0.0], [1.0], share)[0] == pytest.approx(place, abs=1e-9)
    assert fitted.pit([0.0], [1.0], [1.0])[0] == pytest.approx(0.5)
    with pytest.warns(InfiniteIntervalWarning, match="3 calibration elements"):
        assert fitted.quantile([0.0], [1.0], 0.2)[0] == -np.inf
    with pytest.warns(InfiniteIntervalWarning):
        lower, upper = fitted.interval([0.0], [1.0], 0.9)
    assert (lower[0], upper[0]) == (-np.inf, np.inf)


@pytest.mark.slow
def test_isotonic_quantile_covers_like_conformal():
    rng = np.random.default_rng(6)
    seen = []
    for _ in range(500):
        fitted = recalibration.isotonic_quantile(*draw(rng, 99, scale=1.7))
        mean, std, target = draw(rng, 200, scale=1.7)
        lower, upper = fitted.interval(mean, std, 0.9)
        seen.append(np.mean((lower <= target) & (target <= upper)))
    assert np.mean(seen) == pytest.approx(0.9, abs=4 * np.std(seen) / 500**0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recalibration.std_scaling([], [], []), "0 labelled elements"),
        (lambda: recalibration.std_scaling([1], [1], [1]), "residuals are all 0"),
        (lambda: recalibration.few_shot([1, 2], [1, 1], [1, 3]), "'affine' needs 3"),
        (lambda: recalibration.few_shot([1] * 4, [1] * 4, [1, 2, 3, 4]), "mean is constant"),
        (lambda: recalibration.few_shot([1, 2], [1, 1], [1, 3], "gain"), "kind is 'gain'"),
        (lambda: recalibration.few_shot([1, 2, 3, 4], [1] * 4, [3, 5, 7, 9]), "all 0"),
        (lambda: recalibration.isotonic_std([0], [1], [0]), "all 0"),
        (lambda: recalibration.isotonic_std([0], [1], [1], floor=0), "floor is 0"),
        (lambda: recalibration.isotonic_quantile([], [], []), "no elements"),
        (lambda: recalibration.std_scaling([1], [0], [1]), r"std is 0.0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
