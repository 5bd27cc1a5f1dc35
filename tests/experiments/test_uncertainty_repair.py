import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from lib.experiments import (
    mpra_gc_ood,
    repair_answer,
    repair_page,
    repair_page_labels,
    repair_tables,
    sim_arms,
    simulation_shifts,
)
from lib.experiments.repair_detection import Seen, detect
from lib.experiments.repair_quantiles import quantile_columns
from lib.experiments.repair_scoring import (
    ESTIMATED,
    KNOWN,
    Key,
    Part,
    averages,
    calibrated,
    elements,
    labelled_columns,
)
from lib.experiments.repair_worlds import closed_forms, known_weights
from lib.experiments.sim_arms import Condition
from lib.experiments.uncertainty_repair import REWIRING, Config, run
from lib.page.charts import Figure, Table
from lib.repair.conformal import Interval
from lib.study import results
from lib.study.config import ParameterError
from lib.study.units import Store

HALF = float(ndtri(0.95))


def part(target, mean=0.0, std=1.0, gc=None, group=None):
    n = len(target)
    mean, std = (np.broadcast_to(np.asarray(v, float), n).copy() for v in (mean, std))
    gc = np.linspace(0, 1, n) if gc is None else gc
    return Part(mean, std, target, gc, np.arange(n) if group is None else group)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    config = Config.create(profile="smoke", workers=1)
    return run(config, Store(tmp_path_factory.mktemp("store"))), config


# Repairs on forecasts with a known law.


def test_known_weights_cover_where_none_undercover():
    """Error sd e^(x/2), unseen by the network; x moves from N(0, 1) to N(1, 1): ratio e^(x-1/2)."""
    rng = np.random.default_rng(0)
    covered = {"norm_cp": [], KNOWN: [], ESTIMATED: []}
    for _ in range(60):
        x, new = rng.normal(0, 1, 1500), rng.normal(1, 1, 500)
        held, asked = (part(np.exp(v / 2) * rng.normal(size=len(v)), gc=v) for v in (x, new))
        known = (np.exp(x - 0.5), np.exp(new - 0.5))
        for repair in calibrated(held, asked, 5, known):
            name = repair.variant if repair.variant else repair.uncertainty
            if name in covered:
                covered[name].append(elements(repair.interval(0.9), asked.target, 0.9)[0].mean())
    error = np.std(covered[KNOWN]) / 60**0.5
    assert abs(np.mean(covered[KNOWN]) - 0.9) < 3 * error + 0.005  # own mass lifts it a little
    assert abs(np.mean(covered[ESTIMATED]) - 0.9) < 3 * error + 0.01
    assert np.mean(covered["norm_cp"]) < 0.85


def test_quantiles_of_the_wrong_width_are_made_nominal():
    """Ends at ±1 of a standard Gaussian cover .683; the repaired ones stand at ±1.645."""
    rng = np.random.default_rng(2)
    held, asked = rng.normal(size=20_000), rng.normal(size=20_000)
    ends = [Interval(np.full(20_000, -1.0), np.ones(20_000))] * 2
    found = quantile_columns(ends[0], held, ends[1], asked)
    assert found[Key("quantiles", "", "picp_90")].mean() == pytest.approx(0.683, abs=0.01)
    assert found[Key("cqr", "", "picp_90")].mean() == pytest.approx(0.9, abs=0.01)
    assert found[Key("cqr", "", "mpiw_90")].mean() == pytest.approx(2 * HALF, abs=0.06)


def test_quantile_networks_stand_beside_the_repairs(found):
    rows = found[0].rows
    rows = rows[(rows["metric"] == "picp_90") & (rows["by"] == "")]
    for data in ("simulation", "standin"):
        own = rows[(rows["data"] == data) & (rows["split"] == "test")]
        assert {"quantiles", "cqr", "norm_cp"} <= set(own["uncertainty"])


def test_every_repair_is_nominal_in_distribution():
    rng = np.random.default_rng(1)
    std = np.exp(rng.normal(0, 0.3, 24_000))
    target = 2 * std * rng.normal(size=len(std))  # the network's std is half the true one
    every = part(target, std=std, gc=rng.random(len(std)))
    held, asked = every.take(np.arange(4000)), every.take(np.arange(4000, 24_000))
    known = (np.ones(4000), np.ones(20_000))
    covered = {
        repair[:2]: elements(repair.interval(0.9), asked.target, 0.9)[0].mean()
        for repair in calibrated(held, asked, 5, known, relatives=held)
    }
    assert covered.pop(("single", "")) == pytest.approx(2 * ndtr(HALF / 2) - 1, abs=0.01)
    # 4,000 calibration elements place the quantile within sqrt(.09 / 4000) = .005 of coverage.
    assert all(abs(value - 0.9) < 0.02 for value in covered.values())
    assert len(covered) == 8


def test_closed_forms_of_a_gaussian_shift():
    """Calibration variance 1, shifted variance 1 + 1: 2 Phi(q / sqrt 2) - 1 whatever the form."""
    rng = np.random.default_rng(2)
    n = 200_000
    held = part(rng.normal(size=n))
    moved = rng.normal(size=n)
    asked = part(moved + rng.normal(size=n))
    found = closed_forms(held, asked, (moved, np.ones(n)), (0.5, 1.0))
    expected = 2 * ndtr(HALF / 2**0.5) - 1
    assert expected == pytest.approx(0.7552, abs=1e-4)
    assert found.pop("distance") == 0.5
    assert found == pytest.approx(dict.fromkeys(found, expected), abs=0.005) and len(found) == 3
    observed = np.mean(np.abs(asked.target) <= np.quantile(np.abs(held.target), 0.9))
    assert observed == pytest.approx(expected, abs=0.005)
    assert len(closed_forms(held, asked, (moved, np.ones(n)), (np.nan, np.nan))) == 2


def means(columns, single):
    table = averages(columns, single).set_index(["uncertainty", "variant", "metric"])
    return table["value"].sort_index()


def test_labels_mend_gain_and_offset_in_each_cohort_but_cannot_sharpen_noise():
    """Two batches, y = 2 m + 3 + e and y = 2 m - 3 + e, e ~ N(0, 1)."""
    rng = np.random.default_rng(3)
    n = 4000
    mean = rng.normal(size=n)
    batch = np.arange(n) % 2
    asked = part(2 * mean + 3 - 6 * batch + rng.normal(size=n), mean=mean)
    cohorts = [np.flatnonzero(batch == 0), np.flatnonzero(batch == 1)]
    apart = means(*labelled_columns(asked, cohorts, (500,), 5, 0.03, np.random.default_rng(0)))
    both = means(*labelled_columns(asked, [np.arange(n)], (500,), 5, 0.03, rng))
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
    found = means(*labelled_columns(asked, [np.arange(3000)], (19,), 300, 0.03, rng))
    # rank ceil(20 * .9) = 18 of 19: expected coverage 18 / 20; sd of one draw .065, of 300 .004
    assert found["norm_cp", "k=19", "picp_90"] == pytest.approx(0.9, abs=0.015)


def test_relatives_of_labelled_elements_are_not_judged():
    """20 pairs of twins: with k = 10 labels, 40 - 2 * 10 elements are judged in one draw."""
    rng = np.random.default_rng(5)
    asked = part(rng.normal(size=40), mean=rng.normal(size=40), group=np.arange(40) // 2)
    columns, _ = labelled_columns(asked, [np.arange(40)], (10, 11), 1, 0.03, rng)
    judged = np.isfinite(columns[Key("few_shot", "k=10", "picp_90")])
    assert judged.sum() == 20 and (judged[::2] == judged[1::2]).all()
    assert {key.variant for key in columns} == {"k=10"}  # 2 * 11 exceeds the 20 groups


def test_averages_leave_out_missing_values_and_small_cells():
    full, half = np.arange(40.0), np.where(np.arange(40) < 20, 1.0, np.nan)
    few = np.where(np.arange(40) < 9, 1.0, np.nan)
    keys = [Key("single", "", name) for name in ("full", "half", "few")]
    table = averages(dict(zip(keys, (full, half, few), strict=True)), {})
    assert table[["metric", "value", "n"]].values.tolist() == [["full", 19.5, 40], ["half", 1, 20]]


def test_bootstrap_counts_groups_not_rows():
    """Ten copies of each of 200 values: the variance is that of 200 values, s² / 200."""
    rng = np.random.default_rng(6)
    values, group = rng.normal(size=200), np.repeat(np.arange(200), 10)
    key = Key("single", "", "metric")
    row = averages({key: np.repeat(values, 10)}, {}, group, draws=4000).iloc[0]
    assert row["variance"] == pytest.approx(values.var() / 200, rel=0.1)
    assert row["lower"] < row["value"] < row["upper"]


# What is known of a simulated shift.


def test_known_weights_carry_the_home_law_to_the_shifted_one():
    home, shifted = (sim_arms.test_data(0, Condition("gc", s), 6000) for s in (0.0, 0.5))
    weights, at_shifted = known_weights(Condition("gc", 0.5), 0, home, shifted)
    law = home.metadata["gc_law"]
    assert weights.mean() == pytest.approx(1, abs=0.06)
    moved = shifted.metadata["gc_law"].mean() - law.mean()
    assert np.average(law, weights=weights) - law.mean() == pytest.approx(moved, rel=0.1)
    assert len(at_shifted) == len(shifted)
    assert known_weights(Condition("motif_density", 0.5), 0, home, home) is None
    ones, _ = known_weights(REWIRING, 0, home, home)
    assert (ones == 1).all()


def seen(n, first, shift, rng):
    return Seen(
        rng.normal(shift, 1, n), rng.normal(shift, 1, (n, 3)), np.ones(n), first + np.arange(n)
    )


def test_detection_sees_a_shift_and_repeats_itself():
    rng = np.random.default_rng(7)
    held, moved, same = seen(400, 0, 0, rng), seen(200, 400, 1, rng), seen(200, 400, 0, rng)
    tables = [detect(held, new, 200, 99, 0) for new in (moved, same, same)]
    assert tables[1].equals(tables[2])
    value = [table.set_index(["detector", "quantity"])["value"] for table in tables]
    assert value[0].xs("p", level=1).max() <= 0.02 < value[1].xs("p", level=1).min()
    # GC distance |x|: a standard deviation 1 away, P(|N(1,1)| > |N(0,1)|) = .636 drawn 10^6 times
    assert value[0]["GC distance", "auroc"] == pytest.approx(0.636, abs=0.06)
    assert value[0]["predicted std", "auroc"] == 0.5


# Tables.


def test_label_budget_is_the_size_from_which_on_coverage_holds():
    enough = repair_tables.enough
    assert enough([10, 20, 50], [True, True, True]) == 10
    assert enough([10, 20, 50], [True, False, True]) == 50
    assert np.isnan(enough([10, 20, 50], [True, True, False]))


def world_values(coverages, **keys):
    base = {"shift": "effect_rewiring", "family": "concept", "severity": 0.5, "condition": "d=0.5"}
    base |= {"uncertainty": "norm_cp", "variant": "", "metric": "picp_90", "by": "", "bin": ""}
    return pd.DataFrame({"value": coverages, "world": range(len(coverages))}).assign(
        **(base | keys)
    )


@pytest.mark.parametrize(
    ("coverages", "verdict"),
    [
        ([0.74, 0.75, 0.76], "supported"),
        ([0.84, 0.85, 0.86], "contradicted"),
        ([0.70, 0.80, 0.90], "undecided"),
    ],
)
def test_undercoverage_is_judged_on_the_whole_interval(coverages, verdict):
    table = repair_tables.concept(world_values(coverages))
    assert table["verdict"].tolist() == [verdict]
    assert table["drop"].iloc[0] == pytest.approx(0.9 - np.mean(coverages))


def test_weighted_coverage_is_judged_in_standard_errors():
    """Mean .90 + 2 se is nominal; the same spread further off is not."""
    spread = np.array([-0.01, 0.0, 0.01])  # se = .01 / sqrt 3 = .00577
    keys = {"shift": "gc", "family": "covariate", "condition": "", "uncertainty": "weighted_cp"}
    for offset, verdict in ((0.011, "nominal"), (0.012, "not nominal")):
        levels = [f"picp_{name}" for name in (50, 80, 90, 95)]
        values = pd.concat(
            [
                world_values(0.9 + offset + spread, **keys, variant=KNOWN, metric=metric)
                for metric in levels
            ]
        )
        table = repair_tables.weighted(values).set_index("level")
        assert table.loc[0.9, "verdict"] == verdict
        assert table.loc[0.9, "off"] == pytest.approx(offset / (0.01 / 3**0.5))


# The whole run at smoke size.


def test_rows_keep_the_contract(found, tmp_path):
    tables, config = found
    results.write(tmp_path, config.experiment, tables.rows, tables.tables, tables.entry)
    read = results.read(tmp_path, config.experiment)
    assert set(read["data"]) == {"simulation", "standin"} and set(read["profile"]) == {"smoke"}
    home = read[(read["split"] == "test") & read["shift"].isna()]
    assert (home["severity"] == 0).all()
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


def test_page_is_made_of_the_tables(found):
    tables, config = found
    text = repair_answer.answer(tables, config).data
    assert "not for conclusions" in text and "margin" not in text
    figures = [
        repair_page.coverage_figure(tables),
        repair_page.assay_figure(tables),
        repair_page.concept_figure(tables),
        repair_page.decile_figure(tables),
        repair_page_labels.budget_figure(tables),
        repair_page_labels.score_figure(tables),
    ]
    shown = [
        repair_page.guarantee_table(),
        repair_page.cost_table(tables),
        repair_page.weighted_table(tables, config),
        repair_page.concept_table(tables, config),
        repair_page_labels.budget_table(tables, config),
        repair_page_labels.detection_table(tables),
    ]
    assert all(isinstance(item, Figure | Table) for item in figures + shown)
    assert all(len(item._repr_html_()) < 300_000 for item in figures + shown)
    assert len({figure.name for figure in figures}) == len(figures)


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
