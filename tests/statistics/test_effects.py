"""Effects over replicates: peers for the intervals, pairs and ratios worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lib.statistics.effects import (
    CHANGES,
    Effect,
    against,
    effect,
    over_replicates,
    over_splits,
)
from lib.statistics.intervals import combine_splits

VALUES = np.array([1.0, 2.0, 4.0, 3.5])


def rows(values, metric="rmse", **keys):
    """A row per replicate."""
    table = pd.DataFrame({"replicate": range(len(values)), "value": values})
    return table.assign(metric=metric, **keys)


def test_intervals_are_student_s_and_a_single_replicate_has_none():
    found = over_replicates(rows(VALUES, n=7).assign(n=[6, 8, 7, 7]), ["metric"], averaged=["n"])
    expected = ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert found[["lower", "upper"]].iloc[0].tolist() == pytest.approx(list(expected))
    assert found[["worlds", "n"]].iloc[0].tolist() == [4, 7]
    single = over_replicates(rows(VALUES[:1]), ["metric"], count="folds")
    assert np.isnan(single["lower"].iloc[0]) and single["folds"].iloc[0] == 1


def test_missing_keys_make_a_group_and_groups_keep_their_order():
    table = pd.concat([rows(VALUES, dial=np.nan), rows(VALUES + 1, dial=0.5)])
    assert over_replicates(table, ["dial"])["value"].tolist() == [2.625, 3.625]


def test_splits_are_pooled_with_their_correction():
    table = rows(VALUES).assign(variance=0.1, n=[10, 10, 10, 11], n_train=40, scale="difference")
    both = pd.concat([table, table.assign(scale="ratio")])
    found = over_splits(both, ["metric", "scale"], averaged=["n_train"], narrow=True)
    for level, ending in ((0.95, ""), (0.9, "_90")):
        pooled = combine_splits(VALUES, [0.1] * 4, 10.25, 40, level)[1:3]
        ends = found[[f"lower{ending}", f"upper{ending}"]].to_numpy()
        assert ends[0] == pytest.approx(pooled) and ends[1] == pytest.approx(np.exp(pooled))
    assert found[["n", "splits", "n_train"]].to_numpy().tolist() == [[10, 4, 40]] * 2
    row = over_splits(table.assign(variance=[0.1, np.nan, 0.1, 0.1]), ["metric"]).iloc[0]
    assert row["value"] == VALUES.mean() and row[["lower", "upper"]].isna().all()


def test_an_effect_is_a_paired_t_test_and_empty_without_values():
    row = effect("gain", pd.Series([*VALUES, np.nan]), model="cnn")
    expected = ttest_1samp(VALUES, 0)
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (row["lower_90"], row["upper_90"]) == pytest.approx(
        tuple(expected.confidence_interval(0.9))
    )
    assert row["n"] == 4 and row["df"] == 3 and row["p"] == 2 / 2**4 and row["model"] == "cnn"
    assert effect("gain", pd.Series([np.nan])) == {}


@pytest.mark.parametrize("how", ["ratio", "rise", "drop", "closed"])
def test_changes_are_paired_by_replicate(how):
    left, right = rows([4.0, 2.0, 9.0]), rows([1.0, 2.0], shift="none").iloc[::-1]
    right["value"] = [2.0, 1.0]
    wanted = {"ratio": np.log([4, 1]), "rise": [3, 0], "drop": [-3, 0], "closed": [-15, 0]}[how]
    assert CHANGES[how](pd.Series([4.0, 2.0]), pd.Series([1.0, 2.0])).tolist() == list(wanted)
    (row,) = against(left, right, [Effect("found", "rmse", how)])
    mean = np.mean(wanted)
    assert row["value"] == pytest.approx(np.exp(mean) if how == "ratio" else mean)
    assert row["n"] == 2


def test_without_a_reference_only_values_are_given():
    wanted = [Effect("zms", "rmse"), Effect("ratio", "rmse", "ratio")]
    assert [row["effect"] for row in against(rows(VALUES), None, wanted)] == ["zms"]
