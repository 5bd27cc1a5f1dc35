import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from lib.experiments import repairs
from lib.experiments.repairs import ESTIMATED, KNOWN, Budget, Key
from lib.metrics.resampling import resampling

HALF = ndtri(0.95)  # a 90 % interval reaches so many standard deviations each way


def part(target, mean=0.0, std=1.0, gc=None, group=None):
    n = len(target)
    gc = np.linspace(0, 1, n) if gc is None else gc
    group = np.arange(n) if group is None else group
    table = pd.DataFrame({"target": target, "gc": gc, "group": group})
    return table.assign(mean=mean, std=std)


def share_held(repair, asked):
    return repairs.elements(repair.interval, asked["target"].to_numpy())[0].mean()


def test_known_weights_cover_where_none_undercover(rng):
    """Error sd e^(x/2), unseen by the network; x moves from N(0, 1) to N(1, 1): ratio e^(x-1/2)."""
    covered = {"norm_cp": [], KNOWN: [], ESTIMATED: []}
    for _ in range(60):
        x, new = rng.normal(0, 1, 1500), rng.normal(1, 1, 500)
        held, asked = (part(np.exp(v / 2) * rng.normal(size=len(v)), gc=v) for v in (x, new))
        known = (np.exp(x - 0.5), np.exp(new - 0.5))
        for repair in repairs.calibrated(held, asked, 5, known):
            name = repair.variant if repair.variant else repair.uncertainty
            if name in covered:
                covered[name].append(share_held(repair, asked))
    error = np.std(covered[KNOWN]) / 60**0.5
    assert abs(np.mean(covered[KNOWN]) - 0.9) < 3 * error + 0.005  # own mass lifts it a little
    assert abs(np.mean(covered[ESTIMATED]) - 0.9) < 3 * error + 0.01
    assert np.mean(covered["norm_cp"]) < 0.85


def test_every_repair_is_nominal_in_distribution():
    rng = np.random.default_rng(1)
    std = np.exp(rng.normal(0, 0.3, 24_000))
    target = 2 * std * rng.normal(size=len(std))  # the network's std is half the true one
    every = part(target, std=std, gc=rng.random(len(std)))
    held, asked = every.iloc[:4000], every.iloc[4000:]
    known = (np.ones(4000), np.ones(20_000))
    repaired = repairs.calibrated(held, asked, 5, known)
    covered = {repair[:2]: share_held(repair, asked) for repair in repaired}
    assert covered.pop(("single", "")) == pytest.approx(2 * ndtr(HALF / 2) - 1, abs=0.01)
    # 4,000 calibration elements place the quantile within sqrt(.09 / 4000) = .005 of coverage.
    assert all(abs(value - 0.9) < 0.02 for value in covered.values())
    assert len(covered) == 7


def means(found):
    table = repairs.averages(found).set_index(["uncertainty", "variant", "metric"])
    return table["value"].sort_index()


def test_labels_mend_gain_and_offset_in_each_cohort_but_cannot_sharpen_noise():
    """Two batches, y = 2 m + 3 + e and y = 2 m - 3 + e, e ~ N(0, 1)."""
    rng = np.random.default_rng(3)
    n = 4000
    mean = rng.normal(size=n)
    batch = np.arange(n) % 2
    asked = part(2 * mean + 3 - 6 * batch + rng.normal(size=n), mean=mean)
    budget = Budget((500,), 5, 0.03)
    apart = means(repairs.labelled(asked.assign(cohort=batch), budget, np.random.default_rng(0)))
    both = means(repairs.labelled(asked, budget, rng))
    one, other = apart["few_shot", "k=500"], both["few_shot", "k=500"]
    assert one["picp_90"] == pytest.approx(0.9, abs=0.02)
    assert one["mpiw_90"] == pytest.approx(2 * HALF, rel=0.05)
    assert one["interval_score_90"] == pytest.approx(4.125, rel=0.03)  # 40 phi(q): the oracle's
    assert one["within_tolerance"] == 1
    # Pooled, the offsets are noise of variance 9: no narrower than sqrt(10) allows.
    assert other["mpiw_90"] == pytest.approx(2 * HALF * 10**0.5, rel=0.05)


def test_conformal_from_labels_covers_under_any_shift():
    rng = np.random.default_rng(4)
    asked = part(5 + rng.standard_cauchy(3000), mean=rng.normal(size=3000))
    found = means(repairs.labelled(asked, Budget((19,), 300, 0.03), rng))
    # rank ceil(20 * .9) = 18 of 19: expected coverage 18 / 20; sd of one draw .065, of 300 .004
    assert found["norm_cp", "k=19", "picp_90"] == pytest.approx(0.9, abs=0.015)


def test_relatives_of_labelled_elements_are_not_judged():
    """20 pairs of twins: with k = 10 labels, 40 - 2 * 10 elements are judged in one draw."""
    rng = np.random.default_rng(5)
    asked = part(rng.normal(size=40), mean=rng.normal(size=40), group=np.arange(40) // 2)
    found = repairs.labelled(asked, Budget((10, 11), 1, 0.03), rng)
    kept = np.isfinite(found[Key("few_shot", "k=10", "picp_90")])
    assert kept.sum() == 20 and (kept[::2] == kept[1::2]).all()
    assert {key.variant for key in found} == {"k=10"}  # 2 * 11 exceeds the 20 groups


def test_averages_leave_out_missing_values_and_small_cells_and_count_groups_not_rows():
    full, half = np.arange(40.0), np.where(np.arange(40) < 20, 1.0, np.nan)
    few = np.where(np.arange(40) < 9, 1.0, np.nan)
    keys = [Key("single", "", name) for name in ("full", "half", "few")]
    table = repairs.averages(dict(zip(keys, (full, half, few), strict=True)))
    assert table[["metric", "value", "n"]].values.tolist() == [["full", 19.5, 40], ["half", 1, 20]]
    # Ten copies of each of 200 values: the variance is that of 200 values, s² / 200.
    rng = np.random.default_rng(6)
    values, group = rng.normal(size=200), np.repeat(np.arange(200), 10)
    key = Key("single", "", "metric")
    row = repairs.averages({key: np.repeat(values, 10)}, resampling(group, rng), 4000).iloc[0]
    assert row["variance"] == pytest.approx(values.var() / 200, rel=0.1)
    assert row["lower"] < row["value"] < row["upper"]


def test_each_fold_repairs_what_it_tests():
    """In calibration the first fold's errors are 1, the second's 3, so std is scaled by 1 and 3."""
    asked = part([0.0, 2.0] * 20)
    fold = np.arange(40) % 2  # the second tests the targets 2, which lie within 3 * 1.64
    learned = []
    for number, error in ((0, 1.0), (1, 3.0)):
        held = part(error * np.tile([1.0, -1.0], 30)).drop(columns="gc")
        learned.append(repairs.calibrated(held, asked[fold == number], 2))
    found = repairs.judged(repairs.by_fold(learned), asked.iloc[np.argsort(fold, kind="stable")])
    for name, covered in (("single", 0.5), ("std_scaling", 1.0)):
        assert found[Key(name, "", "picp_90")].mean() == covered
    plan = resampling(np.arange(40), np.random.default_rng(0), np.arange(40) % 4)
    table = repairs.averages(found, plan, 100)
    rows = table[table["metric"] == "mpiw_90"].set_index("uncertainty")["value"]
    assert rows["std_scaling"] == pytest.approx(2 * HALF * (1 + 3) / 2)
    ends = table.loc[table["metric"] == "picp_90", ["lower", "upper"]].stack()
    assert ends.between(0, 1).all()


def test_infinite_intervals_of_one_fold_leave_no_score():
    """Of five calibration elements no conformal interval at 90 % is finite."""
    asked, learned = part(np.zeros(40)), []
    for number, size in enumerate((50, 5)):
        own, held = asked[20 * number :][:20], part(np.linspace(-1, 1, size))
        learned.append(repairs.calibrated(held.drop(columns="gc"), own, 2))
    found = repairs.judged(repairs.by_fold(learned), asked)
    assert found[Key("norm_cp", "", "infinite_90")].mean() == 0.5
    assert np.isnan(found[Key("norm_cp", "", "interval_score_90")]).all()
