import numpy as np
import pandas as pd
import pytest

from lib.experiments import mpra_gc_ood, simulation_shifts, worlds
from lib.experiments.repairs import detect
from lib.experiments.uncertainty_repair import Config, known_weights, run
from lib.experiments.worlds import Condition
from lib.study import results
from lib.study.config import ParameterError
from lib.study.units import Store


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    config = Config.create(profile="smoke", workers=1)
    return run(config, Store(tmp_path_factory.mktemp("store"))), config


def test_rows_keep_the_contract(found, tmp_path):
    tables, config = found
    results.write(tmp_path, config.experiment, tables.rows, tables.tables, tables.entry)
    read = results.read(tmp_path, config.experiment)
    assert set(read["data"]) == {"simulation", "standin"} and set(read["profile"]) == {"smoke"}
    home = read[(read["split"] == "test") & (read["shift"] == "")]
    assert len(home) and (home["severity"] == 0).all()
    assert read.loc[read["metric"].str.startswith("picp"), "value"].between(0, 1).all()
    assert {"single", "std_scaling", "isotonic", "split_cp", "norm_cp", "mondrian_cp"} <= set(
        read["uncertainty"]
    )
    assert {"weighted_cp", "few_shot"} <= set(read["uncertainty"])


def test_a_concept_shift_changes_neither_weights_nor_detectors(found):
    tables, _ = found
    rows = tables.rows[(tables.rows["family"] == "concept") & (tables.rows["metric"] == "picp_90")]
    rows = rows[(rows["by"] == "") & rows["variant"].isin(["", "known weights"])]
    same = rows.set_index(["uncertainty", "part", "severity"])["value"]
    assert len(tables.tables["concept"]) == len(same["norm_cp"]) == 2
    assert same["norm_cp"].equals(same["weighted_cp"])
    detection = tables.tables["detection"]
    still = detection[detection["shift"].isin(["effect_rewiring", "batch"])]
    assert (still[["same_sequences", "as_in_distribution"]] == 1).all().all() and len(still) > 20
    moved = detection[(detection["shift"] == "gc") & (detection["quantity"] == "statistic")]
    assert (moved[["same_sequences", "as_in_distribution"]] == 0).all().all() and len(moved) == 4


def test_the_oracle_s_intervals_are_nominal_under_every_shift(found):
    rows = found[0].rows
    rows = rows[(rows["data"] == "simulation") & (rows["metric"] == "picp_90") & (rows["by"] == "")]
    assert rows["oracle"].notna().all()
    assert rows["oracle"].to_numpy() == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_fits_are_those_of_the_other_notebooks(profile):
    own = Config.create(profile=profile)
    simulated = simulation_shifts.Config.create(profile=profile)
    assert own.parts == simulated.parts and own.epochs == simulated.epochs
    assert set(own.world_seeds) <= set(simulated.world_seeds)
    assays = mpra_gc_ood.Config.create(profile=profile)
    assert own.assays.split_seeds == assays.split_seeds
    assert own.assays.design.fit == assays.design.fit
    same = ("gc_quantile", "gc_tilts", "dataset", "standin_size")
    assert all(getattr(own.assays, name) == getattr(assays, name) for name in same)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shifts": ["gcc"]}, "no shift gcc"),
        ({"severities": [0.0, 1.0]}, "severity 0"),
        ({"labels": [5, 10]}, "at least 10"),
        ({"label": [10]}, "did you mean 'labels'"),
    ],
)
def test_bad_parameters_are_named(given, message):
    with pytest.raises(ParameterError, match=message):
        Config.create(**given)


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


def seen(n, first, shift, rng):
    gc = rng.normal(shift, 1, n)
    table = pd.DataFrame(rng.normal(shift, 1, (n, 3)))
    return table.assign(gc=gc, group=first + np.arange(n))


def test_detection_sees_a_shift_and_repeats_itself():
    rng = np.random.default_rng(7)
    held, moved, same = seen(400, 0, 0, rng), seen(200, 400, 1, rng), seen(200, 400, 0, rng)
    tables = [
        detect(held, new, {"detection_size": 200, "permutations": 99}, 0)
        for new in (moved, same, same)
    ]
    assert tables[1].equals(tables[2])
    value = [table.set_index(["detector", "quantity"])["value"] for table in tables]
    assert value[0].xs("p", level=1).max() <= 0.02 < value[1].xs("p", level=1).min()
