"""The protocol of simulated worlds: samples, names of rows, and the one unit that judges."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.experiments import worlds
from lib.experiments.world_measures import dose_metrics, frozen_metrics
from lib.experiments.worlds import NOISY, REWIRING, Arm, Condition, Sizes
from lib.study.units import HERE, Store

SIZES = Sizes(300, 100, 100, 400)
HOME, RICH = Condition(), Condition("gc", 0.5)


def test_parts_are_disjoint_draws_and_small_samples_nest():
    data, split = worlds.training_data(Arm(0, "cnn", 300), SIZES)
    small = worlds.training_data(Arm(0, "cnn", 100), SIZES)[1]
    assert set(small["train"]) < set(split["train"])
    assert np.array_equal(small["validation"], split["validation"])
    rows = np.concatenate([split[name] for name in ("train", "validation", "calibration")])
    assert np.array_equal(np.sort(rows), np.arange(len(data)))
    test = worlds.test_data(0, Condition(), 400)
    seen = {row.tobytes() for row in data.codes}
    assert not any(row.tobytes() in seen for row in test.codes)


def test_conditions_have_names_and_are_asked_for_once():
    after_gain = Condition("effect_rewiring", distance=0.64, part="rewiring")
    at = [HOME, RICH, Condition("gc", 1.0, "low"), REWIRING, after_gain]
    cells = ["", "gc 0.5", "gc low 1", "effect_rewiring d=0.5", "effect_rewiring d=0.64 rewiring"]
    assert [each.cell for each in at] == cells
    assert [each.name for each in at] == ["", "", "low", "d=0.5", "d=0.64 rewiring"]
    assert [each.sequences for each in at] == [HOME, RICH, at[2], HOME, HOME]
    assert Condition("batch", 1.0).sequences == NOISY.sequences == HOME
    assert [each.dose for each in at] == [0, 1, 2, 0.5, 0.64]  # GC in its s.d., concepts in d
    poor, noisy, fixed = Condition("gc", 0.5, "low"), Condition("noise", 0.5), Condition("gc", 0.25)
    found = worlds.conditions(["gc", "noise"], [0.5], ["", "low"], [RICH, REWIRING, fixed])
    assert found == [HOME, RICH, poor, noisy, fixed]


@pytest.mark.parametrize(
    ("law", "condition", "split"),
    [(HOME, HOME, "test"), (HOME, RICH, "shifted"), (RICH, RICH, "matched"), (RICH, HOME, "test")],
)
def test_rows_say_where_a_network_is_judged(law, condition, split):
    keys = Arm(0, "cnn", 300, law).keys(condition)
    assert keys["split"] == split and keys["dial"] == condition.severity
    assert (keys["shift"] == "") == (split == "test") and keys["replicate"] == 0


def gc_of(judge, condition):
    """A measure: mean GC of the test sample, and how often what is kept was made."""
    made = judge.kept("made", list)
    made.append(condition)
    test = judge.test(condition)
    table = pd.DataFrame({"value": [test.gc.mean()], "calls": len(made), "model": "none"})
    return {"gc": table.assign(asked=judge.settings["asked"])}


def test_measures_come_back_as_long_tables_that_name_their_rows(tmp_path):
    units = [
        worlds.judging(Arm(w, "cnn", 300), [HOME, RICH], SIZES, [gc_of], asked=7) for w in (0, 1)
    ]
    assert units[0].key != worlds.judging(Arm(0, "cnn", 300), [HOME], SIZES, [gc_of], asked=7).key
    for unit in units:
        judged = replace(worlds.judge_unit(unit.config), stamp={"source": unit.source})
        Store(tmp_path).put(unit.key, judged)
    table = worlds.run_judging(units, Store(tmp_path), HERE)["gc"]
    assert table["replicate"].tolist() == [0, 0, 1, 1] and table["calls"].tolist() == [1, 2, 1, 2]
    assert table["split"].tolist() == ["test", "shifted"] * 2
    assert set(table["model"]) == {"none"} and set(table["asked"]) == {7}  # its own columns stay
    home = worlds.test_data(1, HOME, SIZES.test).gc.mean()
    assert table["value"].iloc[2] == home < table["value"].iloc[3]


def test_the_frozen_oracle_keeps_what_holds_in_distribution_and_doses_are_measured():
    """It is the oracle where sequences alone change, and errs by d where the rule does."""
    after_gain = Condition("effect_rewiring", distance=0.64, part="rewiring")
    sizes = Sizes(300, 100, 100, 4000)
    unit = worlds.judging(
        Arm(50, "", 300), [HOME, RICH, NOISY, after_gain], sizes, [frozen_metrics]
    )
    table = worlds.judge_unit(unit.config).table("values")
    rows = table.pivot(index="shift", columns="metric", values=["value", "oracle"])
    value, oracle = rows["value"], rows["oracle"]
    for metric in ("rmse", "zms", "picp_90", "rmse_f"):
        assert value.loc["gc", metric] == oracle.loc["gc", metric]
    # The noise share goes from .256 to .8: z squared grows (.8 / .2) / (.256 / .744) = 11.6 times.
    assert value.loc["noise", "zms"] == pytest.approx(11.6, rel=0.15)
    assert value.loc["noise", "rmse_f"] == 0
    # After gain .64 of Var f = .927; 1 - r^2 = .64 at r = .6, so d = 2 (1 - r) = .8 in all.
    assert value.loc["effect_rewiring", "rmse_f"] ** 2 == pytest.approx(0.8 * 0.927, rel=0.1)
    unit = worlds.judging(Arm(51, "", 300), [HOME, RICH, NOISY, after_gain], sizes, [dose_metrics])
    table = (
        worlds.judge_unit(unit.config).table("doses").drop_duplicates("shift").set_index("shift")
    )
    measured = table.loc[["", "gc", "noise", "effect_rewiring"], "measured"]
    assert measured.to_numpy() == pytest.approx([0.256, 1.0, 0.8, 0.64], abs=0.05)
    assert set(table["model"]) == {"frozen_oracle"}
