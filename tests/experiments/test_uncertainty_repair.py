import numpy as np
import pytest

from lib.experiments import uncertainty_repair, worlds
from lib.experiments.uncertainty_repair import known_weights
from lib.experiments.worlds import Condition
from lib.page.grammar import pick

EXPERIMENT = uncertainty_repair


def test_every_repair_stands_in_worlds_and_on_assays_beside_a_nominal_oracle(found):
    learned = {"single", "std_scaling", "isotonic", "split_cp", "norm_cp", "mondrian_cp"}
    every = found.rows.groupby("data")["uncertainty"].agg(set).to_dict()
    assert every == dict.fromkeys(("simulation", "standin"), learned | {"weighted_cp", "few_shot"})
    assert set(pick(found.rows, data="standin")["model"]) == {"cnn", "leading"}
    covered = found.rows.loc[found.rows["metric"].str.startswith("picp"), "value"]
    assert covered.between(0, 1).all()
    rows = pick(found.rows, data="simulation", metric="picp_90")
    assert rows["oracle"].notna().all()
    assert rows["oracle"].to_numpy() == pytest.approx(0.9, abs=0.05)


def test_a_concept_shift_changes_neither_sequences_nor_weights(found):
    rows = pick(found.rows, family="concept", metric="picp_90", variant=["", "known weights"])
    same = rows.set_index(["uncertainty", "part", "severity"])["value"]
    assert len(same["norm_cp"]) == 2
    assert same["norm_cp"].equals(same["weighted_cp"])
    # Whatever looks at sequences alone cannot tell, by construction.
    home, rewired = (worlds.test_data(0, at, 600).codes for at in (Condition(), worlds.REWIRING))
    assert np.array_equal(home, rewired)


def test_known_weights_carry_the_home_law_to_the_shifted_one():
    home, shifted = (worlds.test_data(0, Condition("gc", s), 6000) for s in (0.0, 0.5))
    weights, at_shifted = known_weights(Condition("gc", 0.5), 0, home, shifted)
    law = home.metadata["gc_law"]
    assert weights.mean() == pytest.approx(1, abs=0.06)
    moved = shifted.metadata["gc_law"].mean() - law.mean()
    assert np.average(law, weights=weights) - law.mean() == pytest.approx(moved, rel=0.1)
    assert len(at_shifted) == len(shifted)
    assert known_weights(Condition("motif_density", 0.5), 0, home, home) is None
    ones, _ = known_weights(worlds.REWIRING, 0, home, home)
    assert (ones == 1).all()
