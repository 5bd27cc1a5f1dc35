"""Decomposition of paired assays: hand-worked cases, planted shares, controls, bad input."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from lib.metrics.resampling import resampling
from lib.simulator import Assay, Shift, draw_world, simulate
from lib.simulator.assay import Batch
from lib.simulator.sample import known_truth
from lib.simulator.severity import distance
from lib.statistics import paired
from tests.refusals import refused

# Three signs in all combinations, three times over: mutually uncorrelated columns of variance 1.
X, U, V = (
    np.tile(column, 3).astype(float) for column in np.indices((2, 2, 2)).reshape(3, 8) * 2 - 1
)
N = len(X)


def pair(a: Any, b: Any, std_a: float = 0.0, std_b: float = 0.0, **more: Any) -> paired.PairedAssay:
    n = len(a)
    more = {"groups": np.arange(n)} | more
    return paired.paired_assay(a, b, np.full(n, std_a), np.full(n, std_b), **more)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


PARTS = ["offset", "gain", "rewiring", "noise"]
SHARES = [f"share_{part}" for part in PARTS]
DISTANCES = ["distance", "distance_rewiring"]


def parts_of(*given: Any, draws: int = 50) -> pd.DataFrame:
    return paired.decompose(*given, rng(), draws=draws).set_index("quantity")


def test_offset_gain_and_rewiring_by_hand():
    # b - a = X + 3 + U: 9 + 1 + 1
    value = parts_of(pair(X, 2 * X + 3 + U))["value"]
    assert value["total"] == pytest.approx(11)
    assert value[SHARES].tolist() == pytest.approx([9 / 11, 1 / 11, 1 / 11, 0])
    assert value[DISTANCES].tolist() == pytest.approx([11, 1])
    assert value["slope"] == pytest.approx(2)
    assert value["pearson_r_deattenuated"] == pytest.approx(2 / 5**0.5)


def test_known_noise_is_taken_out_and_overstated_noise_shows():
    # f_A = 2 X, f_B = 4 X, an error of variance 1 on each: an ordinary slope would be 8 / 5
    noisy = pair(2 * X + U, 4 * X + V, 1, 1)
    value = parts_of(noisy)["value"]
    assert value["slope"] == pytest.approx(2)
    assert value["total"] == pytest.approx(6)  # (2 X + V - U)^2
    assert value[SHARES].tolist() == pytest.approx([0, 4 / 6, 0, 2 / 6])
    assert value["reliability_b"] == pytest.approx(16 / 17)
    assert value["pearson_r_deattenuated"] == pytest.approx(1)
    value = parts_of(pair(2 * X + U, 4 * X + V, 1.2, 1.2))["value"]
    assert value["share_rewiring"] < 0 and value["pearson_r_deattenuated"] > 1
    assert value[SHARES].sum() == pytest.approx(1)


def test_anchors_are_no_part_of_the_elements_and_a_group_is_resampled_whole():
    anchors = np.arange(2 * N) >= N
    a, b = np.concatenate([X, X]), np.concatenate([2 * X + 3 + U, X + 3])
    both = pair(a, b, anchors=anchors.astype(int))
    found, without = parts_of(both), parts_of(pair(X, 2 * X + 3 + U))
    assert (found["n"] == N).all()
    assert found["value"].to_numpy() == pytest.approx(without["value"].to_numpy())
    a, noise = rng().normal(size=(2, 60))
    b = a + noise
    alone = parts_of(pair(a, b)).loc[SHARES, ["value", "lower", "upper"]]
    copies = parts_of(pair(np.tile(a, 4), np.tile(b, 4), groups=np.tile(np.arange(60), 4)))
    assert copies.loc[SHARES, alone.columns].to_numpy() == pytest.approx(alone.to_numpy())


def test_no_distance_where_nothing_changed():
    generator = rng()
    a, noise = generator.normal(size=300), generator.normal(scale=0.5, size=(2, 300))
    found = parts_of(pair(a + noise[0], a + noise[1], 0.5, 0.5), draws=200)
    for name in ("distance", "share_rewiring"):
        assert found["lower"][name] < 0 < found["upper"][name]
    assert found["lower"]["share_offset"] == found["lower"]["share_gain"] == 0


def test_site_differences_and_control_noise_factor_by_hand():
    # intact rows first; a site is worth 2 X in A and half of that in B, which also lies 5 lower
    base = rng().normal(size=N)
    a = np.concatenate([base + 2 * X, base])
    b = np.concatenate([base + X - 5, base - 5])
    rows = np.arange(N)
    sites = paired.site_differences(pair(a, b, 0.3, 0.4), rows, rows + N)
    assert sites.activity_a == pytest.approx(2 * X)
    assert sites.std_a == pytest.approx(np.full(N, 0.3 * 2**0.5))
    value = parts_of(sites)["value"]
    # Var D_A = 4 with noise 2 * .09 in it, Cov = 2
    assert value["slope"] == pytest.approx(2 / (4 - 0.18))
    assert value["share_offset"] == pytest.approx(0)
    # errors of variance 1 called .25: a factor of 4, once for both and once for one side only
    anchors = np.arange(2 * N) >= N
    a, b = np.tile(2 * X + U, 2), np.tile(2 * X + V, 2)
    for first, std_a in ((a, 0.5), (np.tile(2 * X, 2), 0)):
        factor = paired.control_noise_factor(
            pair(first, b, std_a, 0.5, anchors=anchors), rng(), draws=20
        )
        assert factor.value == pytest.approx(4)


def test_median_bias_by_hand_and_an_interval_over_folds_rests_on_the_folds_too():
    # draws .6 to 1.0 about .8 under a value of 1: up by twice .2
    values = np.concatenate([[1.0], np.linspace(0.6, 1.0, 41), [np.nan]])
    plan = resampling(np.arange(3), rng())
    plain, corrected = paired.estimate(values, plan), paired.estimate(values, plan, corrected=True)
    assert tuple(plain) == pytest.approx((1, 0.61, 0.99))
    assert tuple(corrected) == pytest.approx((1, 1.01, 1.39))
    # Left out, three folds give 0, 0 and 3: variance 2 * 2, more than the draws', t with 2.
    plan = resampling(np.arange(3), rng(), np.arange(3))
    found = paired.estimate(np.array([1.0, 0, 0, 3, 1, 1.1]), plan)
    assert found.upper - found.value == pytest.approx(2 * t.ppf(0.975, 2))


def changed_pair(changed):
    given = {"a": X, "b": 2 * X + U} | changed
    return pair(given.pop("a"), given.pop("b"), **given)


test_bad_input = refused(
    ({"b": X[1:]}, "activity_b has 23 rows, the other arguments have 24"),
    ({"a": np.where(X > 0, np.nan, X)}, "activity_a is nan in row"),
    ({"std_a": -1}, "std_a is -1.0 in row 0; at least 0 would do"),
    ({"groups": np.arange(N) % 9}, "24 elements in 9 groups"),
    ({"anchors": np.arange(N) < 15}, "there are 9 elements"),
    ({"anchors": np.arange(N) < 3}, "there are 3 anchors; none or at least 10"),
    ({"groups": [None] + [1] * (N - 1)}, "groups is missing in row 0"),
    act=changed_pair,
)


EXACT, HOLED, TWICE = pair(X, 2 * X), np.where(np.arange(N) == 3, np.nan, X), np.tile(X, 2)


test_bad_input_of_what_follows = refused(
    (
        lambda: paired.decompose(pair(X, 2 * X, std_a=1.5), rng(), draws=9),
        "nothing beyond noise to compare",
    ),
    (lambda: paired.decompose(EXACT, rng(), draws=1), "draws is 1"),
    (
        lambda: paired.forecast_ladder(EXACT, X, np.zeros(N), rng(), draws=9),
        r"std is 0\.0 in row 0",
    ),
    (
        lambda: paired.forecast_ladder(EXACT, HOLED, np.ones(N), rng(), draws=9),
        "mean is nan in row 3",
    ),
)


def test_a_forecast_s_noise_account_by_hand() -> None:
    """A forecast is a measurement without noise: y = 2 X + noise of variance 1, mean X + V / 2."""
    value = parts_of(pair(X + V / 2, 2 * X + U, 0, 1))["value"]
    assert value["reliability_b"] == pytest.approx(4 / 5)
    # Cov = 2, Var of the forecast 5/4, of f 4; the error X - V / 2 + U has 1 + 1/4 + 1
    assert value["pearson_r_deattenuated"] == pytest.approx(2 / (1.25 * 4) ** 0.5)
    assert value["share_noise"] == pytest.approx(1 / 2.25)


def test_deattenuated_interval_holds_the_truth() -> None:
    generator, hits = rng(), 0
    for _ in range(60):
        f, e, m = generator.normal(size=(3, 300))
        sigma = np.exp(generator.normal(-0.3, 0.3, size=300))
        assay = paired.paired_assay(f + m, f + sigma * e, 0 * f, sigma, np.arange(300))
        own = paired.decompose(assay, generator, draws=200).set_index("quantity")
        lower, upper = own.loc["pearson_r_deattenuated", ["lower", "upper"]]
        hits += lower <= 0.5**0.5 <= upper  # r of f + m and f
    assert hits >= 52  # 57 expected, s.d. 1.7


Z = norm.ppf(0.95)


def coverage(width: float, offset: float = 0.0) -> float:
    """Of a 90 % interval: its s.d. and how far off it lies, in true s.d."""
    return float(norm.cdf(Z * width - offset) - norm.cdf(-Z * width - offset))


def ladder(slope=1.0, offset=0.0, rest=0.0, noise_b=0.5, controls=0) -> pd.Series:
    """An exact forecast of A: mean f_A, std .5; controls lie on the same line."""
    generator, n = np.random.default_rng(7), 4000
    f_a, e_a, e_b, r = generator.normal(size=(4, n))
    anchors = np.arange(n) < controls
    f_b = offset + slope * f_a + np.where(anchors, 0, rest * r)
    measured = f_a + 0.5 * e_a, f_b + noise_b * e_b
    errors = np.full(n, 0.5), np.full(n, noise_b)
    assay = paired.paired_assay(*measured, *errors, np.arange(n), anchors)
    mean = np.where(anchors, np.nan, f_a)  # forecasts of anchors are not looked at
    table = paired.forecast_ladder(assay, mean, np.full(n, 0.5), generator, draws=40)
    return table.set_index("rung")["value"]


@pytest.mark.parametrize(
    ("given", "rungs", "expected"),
    [
        ({"offset": 1.0, "controls": 1000}, ["raw"], coverage(1, offset=2)),
        (
            {"offset": 1.0, "controls": 1000},
            ["reference", "anchor_offset", "anchor_affine", "oracle_affine"],
            0.9,
        ),
        # f_B = 3 f_A, noise as in A: the line is right, its s.d. 3 times too wide
        ({"slope": 3.0, "controls": 1000}, ["anchor_affine", "oracle_affine"], coverage(3)),
        # offset alone leaves errors of E[(2 f_A)^2] + .25
        ({"slope": 3.0, "controls": 1000}, ["raw", "anchor_offset"], coverage(0.5 / 4.25**0.5)),
        # rewiring stays open: at the oracle line z has variance 1 + .5^2 / .25 = 2
        (
            {"offset": 1.0, "rest": 0.5},
            ["oracle_affine", "oracle_affine_noise"],
            coverage(0.5**0.5),
        ),
        # what the measured noise grew by is a rung of its own
        ({"noise_b": 1.0}, ["oracle_affine"], coverage(0.5)),
        ({"noise_b": 1.0}, ["oracle_affine_noise"], 0.9),
    ],
)
def test_each_line_closes_what_it_can(given, rungs, expected):
    found = ladder(**given)
    assert found[rungs].tolist() == pytest.approx([expected] * len(rungs), abs=0.02)
    assert ("anchor_offset" in found) == ("controls" in given)


# Severity of rewiring, gain, offset.
PLANTED = [(0.0, 1.0, 0.0), (0.25, 0.7, 0.5), (0.5, 1.0, -1.0), (0.75, 1.4, 0.0)]


@pytest.mark.slow
def test_intervals_cover_planted_shares():
    """100 repeats of 600 elements with fresh noise, over four worlds and four mixtures."""
    generator, repeats, size = rng(), 100, 600
    hits, widths = [], []
    for world_seed, (severity, gain, offset) in enumerate(PLANTED):
        world = draw_world(world_seed)
        batch = Assay(batches=(Batch(gain, offset),))
        old = known_truth(simulate(world, 8192, 0))
        shift = Shift("effect_rewiring", severity)
        new = known_truth(simulate(world, 8192, 0, shift=shift, assay=batch))
        parts, variance = distance(old.activity, new.mean), old.activity.var()
        noise = np.mean(old.std**2 + new.std**2)
        whole = parts.total * variance + noise
        truth = np.array([*(part * variance for part in parts[1:]), noise]) / whole
        for _ in range(repeats // len(PLANTED)):
            rows = generator.choice(8192, size, replace=False)
            a, b = (generator.normal(side.mean[rows], side.std[rows]) for side in (old, new))
            assay = paired.paired_assay(a, b, old.std[rows], new.std[rows], np.arange(size))
            shares = paired.decompose(assay, generator, draws=300).set_index("quantity").loc[SHARES]
            lower, upper = shares["lower"], shares["upper"]
            hits.append((lower <= truth + 1e-12) & (truth <= upper + 1e-12))
            widths.append(upper - lower)
    covered = dict(zip(PARTS, np.mean(hits, axis=0), strict=True))
    assert min(covered.values()) >= 0.9, covered
    assert np.max(np.mean(widths, axis=0)) < 0.16  # the intervals are no empty promise
