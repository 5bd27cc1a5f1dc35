"""The trials of side features: which are made, what is written of them, and which is chosen."""

from collections import Counter

import pandas as pd
import pytest

from lib.experiments.worlds import Sizes
from lib.study.units import Placement, Store
from tools.side_path import RATES, WORLDS, chosen, record, trials


def test_decoys_and_placebos_get_equal_trials_in_worlds_of_no_claim():
    made = [trial for world in WORLDS for trial in trials(world)]
    # 2 worlds; without features 2 rates, with them 3 ways in and 2 dropouts
    told = dict.fromkeys(("motif_decoy", "permuted"), 2 * 3 * 2)
    assert Counter(trial.arm.prior for trial in made) == {"none": 2 * 2} | told
    assert len({tuple(trial.keys.values()) for trial in made}) == len(made)
    assert all(50 <= trial.arm.world_seed < 100 for trial in made)


def test_each_prior_s_least_mean_loss_is_chosen():
    rows = [("none", "", 8e-3, 0.9, 0.7), ("none", "", 4e-3, 0.8, 0.9)]  # means .80, .85
    rows += [("permuted", "late", 8e-3, 0.6, 0.8), ("permuted", "residual", 8e-3, 0.65, 0.7)]
    names = ["prior", "entry", "learning_rate", 50, 51]
    table = pd.DataFrame(rows, columns=names).melt(names[:3], var_name="world", value_name="nll")
    table = table.assign(side_dropout=0.0)
    best = table[chosen(table)].groupby(["prior", "entry", "learning_rate"])["nll"].mean()
    assert best.index.tolist() == [("none", "", 8e-3), ("permuted", "residual", 8e-3)]
    assert best.tolist() == pytest.approx([0.8, 0.675])


SMALL = Sizes(train=128, validation=64, calibration=64, test=200)


def test_a_fit_has_the_settings_of_its_row_which_says_what_was_kept(tmp_path):
    for trial in trials(50, parts=SMALL, epochs=1):
        config, keys = trial.unit.config, trial.keys
        assert config["learning_rate"] == keys["learning_rate"]
        way = {"entry": keys["entry"], "side_dropout": keys["side_dropout"]}
        assert config["model_options"] == (way if keys["entry"] else {})
    made = [*trials(50, parts=SMALL, epochs=1)][1:3]
    table = record(made, Store(tmp_path), Placement(1))
    assert table["prior"].tolist() == ["none", "motif_decoy"]
    assert table["learning_rate"].tolist() == [*RATES[::-1]] and (table["epochs"] == 1).all()
    assert table["nll"].notna().all() and table["entry"].tolist() == ["", "late"]
