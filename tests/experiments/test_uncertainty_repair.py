import pytest

from lib.experiments import (
    mpra_gc_ood,
    simulation_shifts,
)
from lib.experiments.uncertainty_repair import Config, run
from lib.study import results
from lib.study.config import ParameterError
from lib.study.units import Store


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    config = Config.create(profile="smoke", workers=1)
    return run(config, Store(tmp_path_factory.mktemp("store"))), config


def test_quantile_networks_stand_beside_the_repairs(found):
    rows = found[0].rows
    rows = rows[(rows["metric"] == "picp_90") & (rows["by"] == "")]
    for data in ("simulation", "standin"):
        own = rows[(rows["data"] == data) & (rows["split"] == "test")]
        assert {"quantiles", "cqr", "norm_cp"} <= set(own["uncertainty"])


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
    assert {"weighted_cp", "few_shot", "group_cp"} <= set(read["uncertainty"])


def test_a_concept_shift_changes_neither_weights_nor_detectors(found):
    tables, _ = found
    concept = tables.tables["concept"]
    assert len(concept) == 2 and concept["observed"].tolist() == concept["weighted"].tolist()
    detection = tables.tables["detection"]
    still = detection[detection["shift"].isin(["effect_rewiring", "batch"])]
    assert (still[["same_sequences", "as_in_distribution"]] == 1).all().all() and len(still) > 20
    moved = detection[(detection["shift"] == "gc") & (detection["quantity"] == "statistic")]
    assert (moved[["same_sequences", "as_in_distribution"]] == 0).all().all() and len(moved) == 4


def test_the_exact_closed_form_is_what_is_observed(found):
    """Binomial: 600 elements, sd sqrt(.1 / 600) = .013."""
    concept = found[0].tables["concept"]
    assert concept["observed"].to_numpy() == pytest.approx(concept["coverage_from_truth"], abs=0.05)


def test_the_oracle_s_intervals_are_nominal_under_every_shift(found):
    rows = found[0].rows
    rows = rows[(rows["data"] == "simulation") & (rows["metric"] == "picp_90") & (rows["by"] == "")]
    assert rows["oracle"].notna().all()
    assert rows["oracle"].to_numpy() == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_fits_are_those_of_the_other_notebooks(profile):
    own = Config.create(profile=profile)
    worlds = simulation_shifts.Config.create(profile=profile)
    assert own.parts == worlds.parts and own.epochs == worlds.epochs
    assert set(own.world_seeds) <= set(worlds.world_seeds)
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
