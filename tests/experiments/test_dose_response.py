"""Curves over doses, the doses at which they cross, and what would have told: by hand."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments import dose_response as dosing
from lib.experiments.dose_response import GENOTYPES, RULES, regret_share
from lib.experiments.simulation_shifts import Config, dosed
from lib.simulator import Shift

WORLDS = range(10)
DOSES = (0.27, 0.64)


def _judged(model, n_train, world, shift, dose, measured, **values):
    """Rows of one network at one dose."""
    usual = {"rmse_f": 0.3, "nll_gaussian": 1.0}
    named = {"model": model, "n_train": n_train, "replicate": world, "shift": shift, "dose": dose}
    rows = [{"metric": metric, "value": value} for metric, value in (usual | values).items()]
    return pd.DataFrame(rows).assign(**named, measured=measured)


def judged():
    """At d the network's RMSE ratio is 1 + d, ZMS 1 + 2 d, coverage .9 - .4 d, in every world.

    World w goes half a hundredth times w further than aimed at; the last one loses no coverage.
    """
    parts = []
    for w in WORLDS:
        for model, lost in (("cnn", 0.4), ("frozen_oracle", 0.3)):
            home = {"rmse": 0.6, "zms": 1.0, "picp_90": 0.9}
            home["rmse_f"] = 0.3 * (model == "cnn")  # the frozen oracle knows f
            parts.append(_judged(model, 100, w, "", 0.0, 0.256, **home))
            for dose in DOSES:
                d = dose + 0.005 * w
                kept = 0.9 - lost * d * (w != WORLDS[-1])
                away = {"rmse": 0.6 * (1 + d), "zms": 1 + 2 * d, "picp_90": kept}
                parts.append(_judged(model, 100, w, "effect_rewiring", dose, d, **away))
    return pd.concat(parts, ignore_index=True)


def calibrated():
    """Networks with 10 labels err .9, with 100 .6; coverage .9, ZMS 1."""
    parts = [
        _judged("cnn", n, w, "", 0.0, 0.0, rmse=rmse, zms=1.0, picp_90=0.9)
        for n, rmse in ((10, 0.9), (100, 0.6))
        for w in WORLDS
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def found():
    doses, crossed = dosing.tables(judged(), calibrated(), 100)
    return doses[doses["model"] == "cnn"], crossed


def test_crossings_are_the_largest_over_the_parts(found):
    _, crossed = found
    rows = crossed[crossed["model"] == "cnn"].set_index("effect")
    # Linear curves cross where they say: ratio 1.25 at .25, ZMS 2 at .5, a drop of .15 at .375.
    ends = ["value", "lower", "upper"]
    assert rows.loc["crossing_rmse_ratio", ends].tolist() == pytest.approx([0.25] * 3)
    assert rows.loc["crossing_zms", "value"] == pytest.approx(0.5)
    assert rows.loc["crossing_rmse_ratio", ["how", "df"]].tolist() == ["t", 9]
    # One world of ten never loses coverage: the median, and the second and ninth of ten.
    drop = rows.loc["crossing_coverage_drop"]
    assert drop["never"] == 1 and drop["how"] == "order" and np.isnan(drop["df"])
    assert drop[["value", "lower", "upper"]].tolist() == pytest.approx([0.375] * 3)
    # The claim's crossing is the largest of the three, so that of ZMS; in the last world none.
    whole = rows.loc["crossing"]
    assert whole["value"] == pytest.approx(0.5) and whole["never"] == 1
    assert whole["upper_sixth"] == np.inf  # the whole range at the level of one of six parts
    frozen = crossed[crossed["model"] == "frozen_oracle"].set_index("effect")
    assert frozen.loc["crossing_coverage_drop", "value"] == pytest.approx(0.5)


def test_a_mild_shift_ends_where_the_first_part_does():
    doses, mild = np.array([0.0, 1.0, 2.0]), RULES["gc"]
    table = pd.DataFrame({"measured": doses, "rmse_ratio": [1, 1.05, 1.15], "zms": [1, 1.1, 1.2]})
    table = table.assign(picp_90=[0.9, 0.89, 0.82], model="cnn", n_train=9, shift="gc", replicate=0)
    rows = pd.DataFrame(dosing.crossing_rows(table)).set_index("effect")["value"]
    assert rows["leaving_rmse_ratio"] == pytest.approx(1.5)
    assert rows["leaving_zms"] == np.inf
    assert rows["leaving_picp_90"] == pytest.approx(1 + 4 / 7)
    assert rows[mild.name] == pytest.approx(1.5)


def test_effects_stand_beside_the_frozen_oracle_and_shares_have_exact_intervals(found):
    doses, _ = found
    rows = doses[doses["dose"] == 0.64].set_index("effect")["value"]
    d = 0.64 + 0.005 * np.array(WORLDS)
    counted = d * (np.array(WORLDS) != WORLDS[-1])
    assert rows["rmse_ratio"] == pytest.approx(np.exp(np.log(1 + d).mean()))
    assert rows["coverage_drop"] == pytest.approx(0.4 * counted.mean())
    assert rows["rmse_over_frozen"] == pytest.approx(1)
    assert rows["coverage_drop_over_frozen"] == pytest.approx(0.1 * counted.mean())
    home = doses[(doses["shift"] == "") & (doses["effect"] == "picp_90")]
    assert home["value"].tolist() == pytest.approx([0.9])
    row = doses[(doses["effect"] == "both_share") & (doses["dose"] == 0.64)].iloc[0]
    # Nine of ten: Clopper and Pearson's .555 to .9975.
    found = row[["value", "lower", "upper"]].tolist()
    assert found == pytest.approx([0.9, 0.5550, 0.9975], abs=1e-4)
    assert not len(doses[(doses["effect"] == "both_share") & (doses["dose"] == 0.27)])


def test_a_network_with_fewer_labels_is_found_where_one_errs_as_much(found):
    doses, _ = found
    mild, far = (doses[doses["dose"] == dose].set_index("effect") for dose in DOSES)
    # .6 (1 + d) lies between .6 and .9 up to d = .5.
    d = 0.27 + 0.005 * np.array(WORLDS)
    assert mild.loc["zms_over_fewer", "value"] == pytest.approx(np.exp(np.log(1 + 2 * d).mean()))
    assert (mild.loc["zms_over_fewer", "n"], far.loc["zms_over_fewer", "n"]) == (10, 0)
    assert np.isnan(far.loc["coverage_drop_over_fewer", "value"])


def test_regret_by_hand_and_fits_of_one_kind_tell_by_rank():
    gain = np.array([0.9, 0.8, 0.6])
    assert regret_share(-gain, gain) == 0 and regret_share(gain, gain) == 2
    # Pairs differ by .1, .3, .2; the last is chosen wrongly: 2 * .2 / .6.
    assert regret_share(np.array([1.0, 3.0, 2.0]), gain) == pytest.approx(2 / 3)
    assert regret_share(np.zeros(3), gain) == 1
    assert np.isnan(regret_share(gain, np.ones(3)))
    nll = np.linspace(0, 1, 10)
    own = {"home_nll_gaussian": nll, "picp_90": 0.8 - 0.1 * nll, "home_picp_90": 0.9}
    table = pd.DataFrame(own).assign(
        coverage_drop=0.1, shift="noise", dose=0.5, model="cnn", n_train=9
    )
    rows = pd.DataFrame(dosing.telling_rows(table.assign(measured=0.5), 100)).set_index("effect")
    assert rows.loc["rank_nll", ["value", "lower", "upper"]].tolist() == pytest.approx([-1] * 3)
    assert rows.loc["regret_share", "value"] == 0
    assert np.isnan(rows.loc["rank_picp_90", "value"])  # all covered alike: nothing to rank
    assert rows.loc["both_share", "value"] == 0


def test_size_from_which_on_a_network_is_above_the_linear_model():
    values = [
        {"n_train": n, "model": model, "replicate": w, "value": r2}
        for w in range(3)
        for n, network in ((100, 0.2), (300, 0.6), (900, 0.9))
        for model, r2 in (("cnn", network), ("kmer_ridge", 0.1), ("occupancy_linear", 0.5))
    ]
    table = pd.DataFrame(values).assign(metric="r2_f", split="test", condition="")
    rows, crossed = dosing.size_rows(table)
    # .3 below at 100, .1 above at 300: three quarters of the way on the logarithm.
    assert crossed[0]["value"] == pytest.approx(100 * 3**0.75) and crossed[0]["model"] == "cnn"
    shares = {row["n_train"]: row["value"] for row in rows if row["effect"] == "r2_share"}
    assert shares == pytest.approx({100: 0.2, 300: 0.6, 900: 0.9})


def test_the_full_profile_s_doses_are_those_of_the_claims():
    config = Config.create(profile="full")
    for doses in (config.rewirings, config.gc_tilts, config.noise_shares):
        assert len(doses) >= 8
    assert set(GENOTYPES.values()) - {1.63} <= set(config.rewirings)
    conditions = dosed(config)[1:]
    aimed = [*config.rewirings, *config.gc_tilts, *config.noise_shares]
    assert [condition.dose for condition in conditions] == pytest.approx(aimed)
    tilt = conditions[len(config.rewirings)]
    assert Shift(tilt.shift, tilt.severity).quantity == config.gc_tilts[0]
    for shift, doses in dosing.JUDGED.items():
        assert set(doses) <= {at.dose for at in conditions if at.shift == shift}
