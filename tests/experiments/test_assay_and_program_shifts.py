"""Real shifts: what is trained on what, thinned counts, references, and the whole on a stand-in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.assays.counts import BarcodeCounts, Thresholds, activities
from lib.data.splits import Split
from lib.experiments import assay_and_program_shifts as shifts
from lib.experiments import (
    real_arms,
    real_asked,
    real_assays,
    real_depth,
    real_parts,
    real_severity,
)
from lib.experiments.real_measures import over_splits
from lib.experiments.real_standin import standin_assays
from lib.study import results
from lib.study.config import ParameterError
from lib.study.found import Tables
from lib.study.units import Store

LIBRARY_TEST = ("test", "", "from the libraries")
REAL_SHIFTS = {
    *("gc_tilt", "gc_high", "gc_low", "genotype", "promoter", "assay", "species", "batch"),
    *("design", "depth", "noise", "placebo"),
}


@pytest.fixture(scope="module")
def assays() -> real_assays.Assays:
    return standin_assays(400)


@pytest.fixture(scope="module")
def config() -> shifts.Config:
    return shifts.Config.create(profile="smoke", workers=1)


@pytest.fixture(scope="module")
def found(config: shifts.Config, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return shifts.run(config, Store(tmp_path_factory.mktemp("store")))


def test_measured_noise_makes_weights_of_mean_one_that_the_median_floors() -> None:
    # Variances 1, 1, 4 with median 1: 1/2, 1/2, 1/5, of mean 2/5.
    weight = real_arms.noise_weight(np.array([1.0, 1.0, 2.0]))
    assert weight == pytest.approx([1.25, 1.25, 0.5])


def test_only_first_libraries_train_and_all_are_tested_on() -> None:
    group, library = np.repeat(np.arange(100), 2), np.tile(["1", "9a"], 100)
    split = real_arms.retina_split(group, library, ["1"], seed=0)
    assert all(
        set(library[split[part]]) == {"1"} for part in ("train", "validation", "calibration")
    )
    assert set(library[split["test"]]) == {"1", "9a"}
    learned = np.concatenate([split[part] for part in ("train", "validation", "calibration")])
    assert not set(group[learned]) & set(group[split["test"]])


def test_every_library_is_left_out_once() -> None:
    assert [real_arms.batch_library(("1", "2", "3"), seed) for seed in range(3)] == ["1", "2", "3"]


def _assert_unseen(network: real_arms.Network, asked: real_parts.Asked) -> None:
    seen = np.concatenate([network.split["train"], network.split["validation"]])
    own = network.data.group
    assert not set(own[asked.rows]) & set(own[seen])


def test_no_network_is_asked_about_relatives_of_what_it_learned_from(
    assays: real_assays.Assays,
) -> None:
    plan = real_arms.Plan((0,), (0,), 1, real_arms.ARMS)
    depths = real_assays.labels_at_depths(assays)
    shallow = {name: real_assays.at_depth_of(assays, name) for name in assays.noisy}
    arms = set()
    for network in real_arms.networks(assays, plan):
        for asked in real_asked.asked_of(assays, network, depths, shallow):
            if not asked.foreign:
                _assert_unseen(network, asked)
                arms.add(network.arm)
            assert np.isfinite(asked.target).all()
    assert arms == set(real_arms.ARMS) - {"gc"}


def test_a_planted_relative_of_training_is_no_element_to_ask_about(
    assays: real_assays.Assays,
) -> None:
    plan = real_arms.Plan((0,), (0,), 1, ("retina",))
    (network,) = real_arms.networks(assays, plan)
    before = real_asked.unrelated_elements(assays, network)
    codes = assays.genotypes["rho"].codes.copy()
    row = before[0]
    codes[row, :40] = assays.retina.codes[network.split["train"][0], :40]
    planted = {name: replace(each, codes=codes) for name, each in assays.genotypes.items()}
    after = real_asked.unrelated_elements(assays._replace(genotypes=planted), network)
    assert row not in after
    assert len(after) >= len(before) - 2


def test_a_subsample_keeps_what_both_tissues_measured(assays: real_assays.Assays) -> None:
    few = real_assays.subsample(assays, 100)
    shared = [
        real_assays.shared_rows(each.plant["leaf"], each.plant["proto"]).sum()
        for each in (assays, few)
    ]
    assert shared[0] == shared[1] == 80  # one in five of 400
    assert len(few.retina) <= 100
    assert len(few.genotypes["rho"].codes) <= 100


def _one_barcode(dna: int, rna: int) -> BarcodeCounts:
    label = np.array(["a", "BASAL"], object)
    return BarcodeCounts(
        label, np.array([dna, 10**6]), np.array([[rna, rna], [10**6, 10**6]]), ("x", "y")
    )


def test_thinning_adds_what_the_counts_lose() -> None:
    """One barcode with D plasmid reads: (1 - q) / (q D) in natural logs, squared."""
    counts, element = _one_barcode(4000, 10**6), np.array([0, 1])
    added = real_depth.delta_variance(counts, element, (0.25, 1.0))[0]
    assert added == pytest.approx(0.75 / (0.25 * 4000) / np.log(2) ** 2)
    # RNA of two replicates: the mean of two counts, each of relative variance (1 - q) / (q R).
    rna = real_depth.delta_variance(_one_barcode(10**6, 4000), element, (1.0, 0.25))[0]
    assert rna == pytest.approx(0.75 / (0.25 * 4000) / 2 / np.log(2) ** 2, rel=0.01)


def test_thinned_counts_vary_as_the_delta_method_says() -> None:
    n = 3000
    rng = np.random.default_rng(0)
    dna, rna = rng.integers(2000, 4000, n), rng.integers(2000, 4000, (n, 2))
    counts = BarcodeCounts(np.arange(n).astype(str).astype(object), dna, rna, ("x", "y"))
    fractions = (1 / 16, 1 / 16)
    measured = real_depth.added_variance(counts, np.arange(n), fractions, 30, rng)
    theory = real_depth.delta_variance(counts, np.arange(n), fractions)
    # 3000 variances of 30 draws: a standard error of about 0.5 %, curvature some 2 %.
    assert measured.mean() / theory.mean() == pytest.approx(1, abs=0.05)


def test_thinning_by_nothing_gives_the_activities_at_full_depth() -> None:
    counts = _one_barcode(500, 800)
    thresholds = Thresholds()
    whole = activities(counts, thresholds).frame
    same = real_assays.thinned(counts, thresholds, (1.0, 1.0), np.random.default_rng(0)).frame
    assert same["activity"].to_numpy() == pytest.approx(whole["activity"].to_numpy())


def test_labels_shared_between_libraries_are_the_others_mean_and_its_error() -> None:
    names = [f"e{index:02d}" for index in range(12)]
    value = np.arange(12.0)
    tables = [
        pd.DataFrame({"library": library, "label": names, "origin": names})
        .assign(activity=value + add, noise_std=std)
        for library, add, std in (("1", 0.0, 0.3), ("2", 2.0, 0.4), ("3", 10.0, 0.1))
    ]  # fmt: skip
    pair = real_severity.library_pair(pd.concat(tables), "3", ("1", "2", "3"))
    assert pair.activity_a == pytest.approx(value + 1)
    assert pair.activity_b == pytest.approx(value + 10)
    assert pair.std_a == pytest.approx(0.25)  # sqrt(0.09 + 0.16) / 2
    assert pair.std_b == pytest.approx(0.1)


def test_another_offset_is_as_if_the_labels_were_made_with_it(assays: real_assays.Assays) -> None:
    """Mean 3 over BASAL 1 with ε = 1 is log2(4 / 2); with 4 ε it is log2(7 / 5)."""
    assay = assays.genotypes["rho"]
    made = replace(assay, activity=np.ones((3, 6)), basal=np.ones(6), epsilon=1.0)
    assert real_asked.at_offset(made, "WT", 1.0) == pytest.approx(np.ones(3))
    assert real_asked.at_offset(made, "WT", 4.0) == pytest.approx(np.log2(np.full(3, 7 / 5)))


@pytest.mark.parametrize(
    ("shift", "condition", "expected"),
    [
        ("genotype", "Ehom", ("test", "", "")),
        ("genotype", "Ehom, from the libraries", ("test", "", "from the libraries")),
        ("genotype", "Ehom, trained on WT + Rhom", ("shifted", "genotype", "Ehom")),
        ("genotype", "Ehom, 4 ε", ("test", "", "4 ε")),
        (
            "promoter",
            "hsp68, with censored, from the libraries",
            ("test", "", "from the libraries"),
        ),
        ("batch", "3", ("inside", "batch", "3")),
        ("design", "mutant", ("inside", "design", "genomic")),
        ("placebo", "wtc11", ("inside", "placebo", "wtc11")),
        ("placebo", "retina_libraries", ("test", "", "")),
    ],
)
def test_each_shift_is_compared_with_its_own_kind(
    shift: str, condition: str, expected: tuple[str, str, str]
) -> None:
    assert real_parts.reference_of("shifted", shift, condition) == expected


def test_splits_are_pooled_with_the_correction_for_overlap() -> None:
    """Values 1 and 3, each ± 1.96 * 0.5: variance 0.25 + (1/2 + 1/4) * 2."""
    table = pd.DataFrame({"k": "a", "value": [1.0, 3.0], "n": 10, "n_train": 40})
    table["lower"], table["upper"] = table["value"] - 0.979982, table["value"] + 0.979982
    row = over_splits(table, ["k"]).iloc[0]
    total, between = 0.25 + 1.5, 1.5
    from scipy.stats import t

    half = t.ppf(0.975, (total / between) ** 2) * total**0.5
    assert row["value"] == 2
    assert row["upper"] - row["value"] == pytest.approx(half, rel=1e-4)


def test_severities_come_without_a_forecast_and_grow_with_the_dial(
    assays: real_assays.Assays,
) -> None:
    decomposition, sites = real_severity.decompositions(assays, draws=50)
    own = decomposition[(decomposition["shift"] == "genotype")
                        & (decomposition["elements"] == "all")
                        & (decomposition["quantity"] == "total")]  # fmt: skip
    by = own.set_index("condition")["value"]
    assert by["Ehom"] > by["Rhom"] > by["Rhet"]  # dials .8, .3 and .1
    assert set(sites["elements"]) == {"site_pairs"}


def test_the_run_names_what_it_was_asked_for(found: Tables) -> None:
    rows = results.tidy(found.rows)
    assert found.standin
    assert set(rows["data"]) == {"standin"}
    assert set(rows["shift"]) - {""} <= REAL_SHIFTS
    assert {"genotype", "promoter", "batch", "depth", "noise"} <= set(rows["shift"])
    assert np.isfinite(rows["value"]).all()
    assert (rows["n"] >= 10).all()
    shifted = rows[rows["split"].isin(["shifted"])]
    plain = shifted[~shifted["condition"].astype(str).str.contains(",")]
    assert plain["severity"].notna().all()


def test_a_loss_of_coverage_is_the_difference_of_two_rows(found: Tables) -> None:
    rows = found.rows
    rows = rows[(rows["metric"] == "picp_90") & (rows["uncertainty"] == "single")]
    rows = rows[(rows["model"] == "cnn") & rows["split_seed"].isna()]
    home = rows[(rows["split"] == "test") & (rows["condition"] == "retina_genotypes")]
    away = rows[(rows["shift"] == "genotype") & (rows["condition"] == "Ehom")]
    away = away[away["split"] == "shifted"]
    twins = found.tables["twins"]
    own = twins[(twins["metric"] == "coverage_drop") & (twins["condition"] == "Ehom")]
    expected = home["value"].iloc[0] - away["value"].iloc[0]
    assert own["observed"].iloc[0] == pytest.approx(expected)


def test_placebo_is_forecast_to_change_nothing(found: Tables) -> None:
    sealed = found.tables["sealed"]
    placebo = sealed[sealed["shift"] == "placebo"].set_index("metric")["forecast"]
    assert placebo["coverage_drop"] == 0
    assert placebo["rmse_ratio"] == 1


def test_sealed_forecasts_are_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sealed.csv"
    path.write_text("stands", encoding="utf-8")
    monkeypatch.setattr(shifts, "sealed_path", lambda: path)
    with pytest.raises(SystemExit, match="not made twice"):
        shifts.main()
    assert path.read_text("utf-8") == "stands"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arm": ("retnia",)}, "no arm retnia"),
        ({"dataset": "mouse"}, "default, real or standin"),
        ({"elements": 10}, "elements"),
        ({"splitseeds": (0,)}, "split_seeds"),
    ],
)
def test_bad_parameters_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        shifts.Config.create(profile="smoke", **given)


def test_a_library_that_holds_no_training_row_is_an_error() -> None:
    split = Split("group", 0, {part: np.array([index]) for index, part in enumerate(
        ("train", "validation", "calibration", "test")
    )})  # fmt: skip
    with pytest.raises(ValueError, match="leaves the part 'train' empty"):
        real_arms.restricted(split, "genomic", np.array([False, True, True, True]))
