import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp

from lib.statistics import effects
from tests.refusals import refused

INF = float("inf")
VALUES = np.array([1.0, 2.0, 4.0, 3.5])


def test_paired_contrast_by_hand_and_one_pair_decides_nothing():
    contrast = effects.paired_contrast([1.0, 2.0, 3.0, 6.0])
    # mean 3, sample variance (4 + 1 + 0 + 9) / 3
    half = student_t.ppf(0.975, 3) * (14 / 3 / 4) ** 0.5
    assert contrast == pytest.approx((3, 3 - half, 3 + half, 2 / 16, 3))
    contrast = effects.paired_contrast([3.0])
    assert (contrast.lower, contrast.upper, contrast.p) == (-INF, INF, 1.0)
    assert effects.decide(contrast.lower, contrast.upper, 0.1, "greater").verdict == "undecided"


def test_sign_flips_against_enumeration():
    rng = np.random.default_rng(1)
    for n in (1, 2, 5, 9):
        values = np.round(rng.normal(0.4, 1, size=n), 1)
        sums = [abs(np.dot(s, values)) for s in itertools.product([-1, 1], repeat=n)]
        expected = np.mean(np.array(sums) >= abs(values.sum()) - 1e-9)
        assert effects.sign_flip_p(values) == pytest.approx(expected)
    assert effects.sign_flip_p([1, 2, 3, 4, 5]) == 0.0625
    assert effects.sign_flip_p([0.0, 0.0]) == 1
    rng = np.random.default_rng(2)
    assert effects.sign_flip_p(np.ones(21)) == pytest.approx(1 / 100_001)
    twenty = rng.normal(0.3, 1, 20)
    more = np.append(twenty, 1e-9)  # one further pair that changes nothing
    assert effects.sign_flip_p(more) == pytest.approx(effects.sign_flip_p(twenty), abs=0.006)


@pytest.mark.parametrize(
    ("lower", "upper", "margin", "direction", "null", "expected"),
    [
        (0.2, 0.4, 0.15, "greater", 0, ("supported", "")),
        (0.1, 0.4, 0.15, "greater", 0, ("undecided", "")),
        (0.15, 0.4, 0.15, "greater", 0, ("undecided", "")),  # touches the margin
        (0.05, 0.1, 0.15, "greater", 0, ("contradicted", "smaller than claimed")),
        (-0.05, 0.1, 0.15, "greater", 0, ("contradicted", "no sign of it")),
        (0.0, 0.1, 0.15, "greater", 0, ("contradicted", "no sign of it")),
        (-0.5, -0.1, 0.15, "greater", 0, ("contradicted", "no sign of it")),  # passes 0
        (0.1, 0.15, 0.15, "greater", 0, ("undecided", "")),
        (0.7, 0.8, 0.85, "less", 1, ("supported", "")),
        (0.8, 0.9, 0.85, "less", 1, ("undecided", "")),
        (0.9, 0.95, 0.85, "less", 1, ("contradicted", "smaller than claimed")),
        (0.9, 1.05, 0.85, "less", 1, ("contradicted", "no sign of it")),
        (-0.4, -0.2, -0.15, "less", 0, ("supported", "")),
        (-0.03, 0.04, 0.05, "within", 0, ("supported", "")),
        (-0.03, 0.05, 0.05, "within", 0, ("undecided", "")),
        (0.06, 0.09, 0.05, "within", 0, ("contradicted", "outside margin")),
        (0.9, 1.2, (0.8, 1.25), "within", 1, ("supported", "")),
        (0.5, 0.79, (0.8, 1.25), "within", 1, ("contradicted", "outside margin")),
        (0.95, 1.09, (-INF, 1.10), "within", 1, ("supported", "")),
        (-INF, INF, (0.8, 1.25), "within", 1, ("undecided", "")),
    ],
)
def test_verdicts(lower, upper, margin, direction, null, expected):
    assert effects.decide(lower, upper, margin, direction, null) == expected


@pytest.mark.parametrize(
    ("interval", "df", "margin", "direction", "expected"),
    [
        # an interval that ends at the margin is at 2.5 %, on each scale
        ((0.10, 0.05, 0.15), 9, 0.15, "greater", 0.025),
        ((1.0, 0.5, 2.0), 4, 0.5, "less", 0.025),
        (expit(logit(0.9) + np.array([0, -0.5, 0.5])), 9, expit(logit(0.9) - 0.5), "less", 0.025),
        # half-width .05 is 2.262157 standard errors; .025 is half of it
        ((0.10, 0.05, 0.15), 9, 0.125, "greater", student_t.sf(2.262157 / 2, 9)),
        ((0.10, 0.05, 0.15), 9, 0.05, "greater", 0.975),
        # .1 is the width of the range: 4.524314 standard errors more on its far side
        ((0.8, 0.75, 0.85), 9, (0.85, 0.95), "within", 0.025 + student_t.sf(3 * 2.262157, 9)),
        ((0.9, 0.85, 0.95), 9, (0.9, 0.9), "within", 1.0),
        ((1.2, 1.0, 1.44), 9, (-1.0, 1.44), "within", 0.975),  # a ratio cannot pass below 0
        # other intervals than Student's
        ((0.2, 0.05, 0.4), 9, 2.0, "greater", np.nan),
        ((1.0, 0.5, INF), 9, 2.0, "greater", np.nan),
        ((1.0, 1.0, 1.0), 9, 2.0, "greater", np.nan),
        ((1.0, 0.9, 1.1), np.nan, 2.0, "greater", np.nan),
    ],
)
def test_how_surely_an_interval_falls_short(interval, df, margin, direction, expected):
    found = effects.shortfall_p(effects.Estimate(*interval), df, margin, direction)
    assert found == pytest.approx(expected, rel=1e-4, nan_ok=True)


def test_falling_short_is_the_one_sided_t_test():
    differences = np.random.default_rng(3).normal(0.1, 0.2, 12)
    value, lower, upper, _, df = effects.paired_contrast(differences)
    found = effects.shortfall_p(effects.Estimate(value, lower, upper), df, 0.2, "greater")
    assert found == pytest.approx(ttest_1samp(differences, 0.2, alternative="less").pvalue)


@pytest.mark.parametrize(
    ("p", "falls"),
    [
        # .025 / 4 = .00625, / 3 = .00833, / 2 = .0125, / 1 = .025
        ([0.02, 0.004, 0.6, 0.009], [0, 1, 0, 0]),  # .009 is above .00833: .02 has no turn
        ([0.012, 0.004, 0.026, 0.008], [1, 1, 0, 1]),
        ([0.025, 0.0125], [1, 1]),
        ([0.024, 0.013], [0, 0]),
        ([0.025], [1]),
        ([], []),
    ],
)
def test_holm_by_hand(p, falls):
    assert effects.holm(p).tolist() == [bool(fall) for fall in falls]


test_bad_input = refused(
    (lambda: effects.paired_contrast([]), "differences is empty"),
    (lambda: effects.decide(np.nan, 1, 0.1, "greater"), "neither NaN"),
    (lambda: effects.decide(2, 1, 0.1, "greater"), "lower <= upper"),
    (lambda: effects.decide(0, 1, 0.1, "more"), "direction is 'more'"),
    (lambda: effects.decide(0, 1, -0.1, "greater"), "other side of null"),
    (lambda: effects.decide(0, 1, (0, 1), "greater"), "with one number"),
    (lambda: effects.decide(0, 1, (0.5, 1), "within"), "does not hold null"),
)


def test_fieller_ends_are_where_the_t_test_turns():
    rng = np.random.default_rng(6)
    lower = 2 + 0.3 * rng.normal(size=10)
    upper = 0.6 * lower + 0.2 * rng.normal(size=10) - 1
    value, low, high = effects.ratio_of_means(upper, lower)
    assert low < value < high
    for end in (low, high):
        assert ttest_1samp(upper - end * lower, 0).pvalue == pytest.approx(0.05)
    # where the denominator may be 0 nothing is said
    assert effects.ratio_of_means([1, 2, 3], [-1, 0, 2])[1:] == (-np.inf, np.inf)


def rows(values, metric="rmse", **keys):
    table = pd.DataFrame({"replicate": range(len(values)), "value": values})
    return table.assign(metric=metric, **keys)


def test_intervals_are_student_s_and_a_single_replicate_has_none():
    counted = rows(VALUES, "bias", n=[6, 8, 7, 7])
    found = effects.over_replicates(counted, ["metric"], averaged=["n"])
    expected = ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert found[["lower", "upper"]].iloc[0].tolist() == pytest.approx(list(expected))
    assert found[["worlds", "n"]].iloc[0].tolist() == [4, 7]
    single = effects.over_replicates(rows([1.0], "picp_90"), ["metric"], count="folds")
    assert np.isnan(single["lower"].iloc[0]) and single["folds"].iloc[0] == 1
    shares = effects.over_replicates(rows([0.99, 0.9, 1.0], "picp_90"), ["metric"])
    v, error = np.mean([0.99, 0.9, 1.0]), np.std([0.99, 0.9, 1.0], ddof=1) / 3**0.5
    reach = student_t.ppf(0.975, 2) * error / (v * (1 - v))  # the delta method on the logit
    expected = expit([logit(v) - reach, logit(v) + reach])
    assert shares[["lower", "upper"]].iloc[0].tolist() == pytest.approx(list(expected))
    exact = effects.over_replicates(rows([1.0, 1.0], "picp_90"), ["metric"])
    assert exact[["lower", "upper"]].iloc[0].tolist() == [1, 1]
    table = pd.concat([rows(VALUES, dial=np.nan), rows(VALUES + 1, dial=0.5)])
    assert effects.over_replicates(table, ["dial"])["value"].tolist() == [2.625, 3.625]


def test_an_effect_is_a_paired_t_test_and_empty_without_values():
    row = effects.effect("gain", pd.Series([*VALUES, np.nan]), model="cnn")
    interval = ttest_1samp(VALUES, 0).confidence_interval
    ends = row["lower"], row["upper"], row["lower_90"], row["upper_90"]
    assert ends == pytest.approx((*interval(0.95), *interval(0.9)))
    assert row["n"] == 4 and row["df"] == 3 and row["p"] == 2 / 2**4 and row["model"] == "cnn"
    assert effects.effect("gain", pd.Series([np.nan])) == {}
    shares = pd.Series([0.99] * 9 + [0.8])  # on the plain scale up to 1.014
    row, same = effects.effect("picp_90", shares), rows(shares, "picp_90")
    table = effects.over_replicates(same, ["metric"]).iloc[0]
    assert (row["lower"], row["upper"]) == pytest.approx((table["lower"], table["upper"]))
    assert row["upper"] < 1


@pytest.mark.parametrize("how", ["ratio", "rise", "drop", "closed"])
def test_changes_are_paired_by_replicate(how):
    left, right = rows([4.0, 2.0, 9.0]), rows([1.0, 2.0], shift="none").iloc[::-1]
    right["value"] = [2.0, 1.0]
    wanted = {"ratio": np.log([4, 1]), "rise": [3, 0], "drop": [-3, 0], "closed": [-15, 0]}[how]
    found = effects.CHANGES[how](pd.Series([4.0, 2.0]), pd.Series([1.0, 2.0]))
    assert found.tolist() == list(wanted)
    (row,) = effects.against(left, right, [effects.Effect("found", "rmse", how)])
    mean = np.mean(wanted)
    assert row["value"] == pytest.approx(np.exp(mean) if how == "ratio" else mean)
    assert row["n"] == 2
