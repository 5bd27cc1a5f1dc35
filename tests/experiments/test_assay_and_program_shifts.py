"""Real shifts of assay and program: the whole on a stand-in, and its parameters."""

import numpy as np
import pytest

from lib.experiments import assay_and_program_shifts as shifts
from lib.experiments.twins.tables import observed
from lib.page.grammar import one, pick
from lib.study import results
from lib.study.config import Tables

EXPERIMENT, GIVEN = shifts, {"draws": 25}
REAL_SHIFTS = {
    *("gc_tilt", "gc_high", "gc_low", "genotype", "promoter", "assay", "species", "batch"),
    *("design", "depth", "noise", "placebo"),
}


def test_the_run_names_what_it_was_asked_for_and_forecasts_no_stand_in(found: Tables) -> None:
    rows = results.tidy(found.rows)
    assert set(rows["data"]) == {"standin"}
    assert set(rows["shift"]) - {""} <= REAL_SHIFTS
    assert {"genotype", "promoter", "batch", "depth", "noise"} <= set(rows["shift"])
    assert np.isfinite(rows["value"]).all()
    assert (rows["n"] >= 10).all()
    tilted = rows[rows["shift"] == "gc_tilt"]
    asked = tilted["condition"].str.extract(r"\+([\d.]+) SD")[0].astype(float)
    assert tilted["severity"].to_numpy() == pytest.approx(asked.to_numpy(), abs=0.1)
    assert set(asked) == {0.5, 1.0, 1.5}
    assert found.tables["sealed"].empty
    assert found.tables["twins"].empty


def test_a_loss_of_coverage_is_the_difference_of_two_rows(found: Tables) -> None:
    rows = pick(found.rows, metric="picp_90", uncertainty="single", model="cnn")
    home = one(rows, split="test", condition="retina_genotypes")
    away = one(rows, split="shifted", shift="genotype", condition="Ehom")
    drops = observed(pick(found.tables["effects"], data="standin"))
    own = one(drops, metric="coverage_drop", condition="Ehom")
    assert own["observed"] == pytest.approx(home["value"] - away["value"])
