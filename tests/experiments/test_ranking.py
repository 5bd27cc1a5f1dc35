import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.experiments import ranking
from lib.experiments.ranking import Rule, make_rules, of_folds, over_worlds, rank, scores_of
from lib.metrics import selective
from lib.metrics.resampling import resampling
from lib.page.grammar import one

KEYS = {
    **{"data": "made", "split": "test", "shift": "", "family": "", "severity": 0.0},
    **{"condition": "", "cell": "made", "model": "cnn", "uncertainty": "single"},
    **{"replicate": 0},
}


def ranked(loss, std, *, group=None, fold=None, rules=(), draws=0, **scores):
    """Elements predicted as 0 whose squared errors are ``loss``; trivial scores without ties."""
    n = len(loss)
    rng = np.random.default_rng(0)
    forecast = pd.DataFrame({"target": np.sqrt(np.asarray(loss, float)), "mean": 0.0})
    forecast = forecast.assign(std=np.asarray(std, float), gc=np.linspace(0.3, 0.7, n))
    forecast["group"] = np.arange(n) if group is None else group
    trivial = {name: rng.permutation(n).astype(float) for name in ranking.TRIVIAL}
    every = pd.DataFrame({"std": forecast["std"]} | trivial | scores)
    plan = resampling(forecast["group"], rng, fold) if draws else None
    return rank(forecast, every, rules, KEYS, plan, draws)


def value(judged, metric, **keys):
    return one(judged["points"], **{"metric": metric, "target": "measured"} | keys)


def test_half_kept_by_hand():
    """Kept are the elements of std 1 to 10, whose losses are 1; all others have 4."""
    judged = ranked(np.repeat([1.0, 4.0], 10), np.arange(1, 21))
    assert value(judged, "risk")["value"] == pytest.approx(2.5)
    assert value(judged, "risk_50", score="std")["value"] == pytest.approx(1.0)
    ratio = value(judged, "risk_ratio_50", score="std")["value"]
    assert np.exp(ratio) == pytest.approx(1 / 2.5)
    # targets are 1 in the kept half: no spread, so no share of it is explained
    assert value(judged, "r2_50", score="std")["value"] == -np.inf
    curve = judged["curves"].set_index(["curve", "coverage"])["risk"]
    assert curve["std", 0.5] == pytest.approx(1 / 2.5) and curve["std", 1.0] == pytest.approx(1)
    assert judged["curves"]["coverage"].min() == 0.5  # fewer than ten elements are not shown


def test_ranked_values_are_the_metrics():
    """Independent truth: the plain functions of lib.metrics on the same elements, with ties."""
    rng = np.random.default_rng(1)
    loss, std = rng.exponential(size=301), rng.integers(1, 9, 301).astype(float)
    judged = ranked(loss, std)
    expected = selective.rankings(loss, std)
    for metric in ("aurc", "e_aurc", "augrc", "prr"):
        assert value(judged, metric, score="std")["value"] == pytest.approx(expected[metric])
    expected = selective.risk_coverage(loss, std)[150]  # ceil(301 / 2) kept
    assert value(judged, "risk_50", score="std")["value"] == pytest.approx(expected)


def test_a_draw_is_the_metric_of_the_resampled_table():
    rng = np.random.default_rng(2)
    loss, score = rng.exponential(size=50), rng.normal(size=50)
    weights = rng.integers(0, 3, (50, 4)).astype(float)
    found = ranking.ranked_risk(loss, score, weights, 0.5)
    for draw in range(4):
        rows = np.repeat(np.arange(50), weights[:, draw].astype(int))
        half = selective.risk_coverage(loss[rows], score[rows])
        # ties are between copies of one element, whose losses are equal
        assert found[draw] == pytest.approx(half[(len(rows) + 1) // 2 - 1])


def test_whole_groups_are_resampled():
    """Four copies of each group say no more than one."""
    rng = np.random.default_rng(3)
    loss, std = rng.exponential(size=400), rng.normal(size=400) + 5
    single = ranked(loss, std, draws=200)
    copies = [np.repeat(values, 4) for values in (loss, std, np.arange(400))]
    fourfold = ranked(*copies[:2], group=copies[2], draws=200)
    rows = (value(judged, "risk") for judged in (single, fourfold))
    one_each, four_each = (row["upper"] - row["lower"] for row in rows)
    assert four_each == pytest.approx(one_each, rel=0.15)


def test_intervals_over_folds_by_hand():
    """Losses 1, 2, 3 in three folds: without one the risk is 2.5, 2, 1.5, their variance 1/6."""
    fold = np.repeat([0, 1, 2], 20)
    judged = ranked(fold + 1.0, np.arange(1.0, 61), fold=fold, draws=100)
    row = value(judged, "risk")
    half = stats.t.ppf(0.975, 2) * (2 / 6) ** 0.5 / 2  # of the logarithm of 2
    assert [row["lower"], row["value"]] == pytest.approx([2 * np.exp(-half), 2])
    assert row["upper"] == pytest.approx(2 * np.exp(half))
    assert row["units"] == 3


def test_fixed_thresholds_by_hand():
    """Std up to 4 are kept: losses 1, 1, 1, 5 of 1, 1, 1, 5, 9, 9 with mean 2 against a target."""
    rules = (Rule("coverage_50", 4.0, 1.6), Rule("coverage_80", -np.inf, 1.6))
    std = [1.0, 2, 3, 4, 5, 6]
    judged = ranked([1, 1, 1, 5, 9, 9], std, rules=rules, mean=np.array(std))
    # a trivial score of the same order rejects as many, so the same
    trivial = value(judged, "risk_over_trivial_fixed", score="mean", rule="coverage_50")
    assert trivial["value"] == pytest.approx(0)
    fixed = {"score": "std", "rule": "coverage_50"}
    assert value(judged, "fixed_coverage", **fixed)["value"] == pytest.approx(4 / 6)
    assert np.exp(value(judged, "risk_ratio_fixed", **fixed)["value"]) == pytest.approx(12 / 26)
    assert np.exp(value(judged, "risk_over_target", **fixed)["value"]) == pytest.approx(2 / 1.6)
    nothing = fixed | {"rule": "coverage_80"}
    assert value(judged, "fixed_coverage", **nothing)["value"] == 0
    assert np.isnan(value(judged, "risk_over_target", **nothing)["value"])


def test_every_fold_has_its_own_threshold():
    """The first fold keeps std 1 of 1 and 2, the second both: losses 1, 3, 5 of four.

    Promised are 2 in the first fold, 4 in the second: of what is kept (2 + 4 + 4) / 3.
    """
    rules = [[Rule("coverage_50", 1.0, 2.0)], [Rule("coverage_50", 12.0, 4.0)]]
    own = of_folds(rules, np.array([0, 0, 1, 1]))
    judged = ranked([1, 7, 3, 5], [1.0, 2, 11, 12], rules=own)
    fixed = {"score": "std", "rule": "coverage_50"}
    assert value(judged, "fixed_coverage", **fixed)["value"] == pytest.approx(3 / 4)
    assert np.exp(value(judged, "risk_ratio_fixed", **fixed)["value"]) == pytest.approx(3 / 4)
    assert np.exp(value(judged, "risk_over_target", **fixed)["value"]) == pytest.approx(9 / 10)


def test_rules_keep_their_share_and_scores_are_what_the_table_has():
    held = pd.DataFrame({"target": 2.0, "mean": 0.0, "std": np.arange(1.0, 11)})
    half, most = make_rules(held)
    assert (half.threshold, most.threshold) == (5, 8) and half.target == pytest.approx(0.85 * 4)
    forecast = pd.DataFrame({"mean": [1.0, 1, 1], "std": [2.0, 2, 2], "gc": [0.5, 0.6, 0.7]})
    home = pd.DataFrame({"target": [0.0, 2.0], "gc": [0.4, 0.6]})
    scores = scores_of(forecast, home)
    # GC .1 is one standard deviation of the training GC
    assert scores["gc_distance"].tolist() == pytest.approx([0, 1, 2])
    assert scores["mean_distance"].tolist() == [0, 0, 0]
    assert set(scores) == {"std", "mean", "gc_distance", "mean_distance"}
    more = scores_of(forecast.assign(std_epistemic=1.0).drop(columns="gc"), home)
    assert set(more) == {"std", "epistemic", "mean", "mean_distance"}
    assert (scores_of(forecast, home.assign(gc=0.5))["gc_distance"] == 0).all()


def test_worlds_get_students_t():
    values = [0.1, 0.3, 0.2, 0.4]
    found = over_worlds(pd.Series(values), "prr")
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found[1:] == pytest.approx((low, high))
    assert over_worlds(pd.Series([0.99, 0.98, 0.8]), "fixed_coverage").upper < 1
    undecided = over_worlds(pd.Series([0.1, np.nan]), "risk")
    assert undecided[1:] == (-np.inf, np.inf)
