from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from pydantic import Field

from lib.study.config import AnyNames, ExperimentConfig, Numbers, ParameterError, Seeds
from tests.refusals import refused


class Made(ExperimentConfig):
    experiment: ClassVar[str] = "made"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"epochs": 1},
        "quick": {"epochs": 5},
        "full": {"epochs": 50, "seeds": (0, 1, 2)},
    }
    epochs: int = Field(default=9, ge=1)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    seeds: Seeds = (0,)
    tilts: Numbers = (0.5,)
    by: AnyNames = ()


def test_profiles_namespaces_and_hashes():
    assert Made.create().epochs == 5
    assert Made.create(profile="full").seeds == (0, 1, 2)
    assert Made.create(profile="full", epochs=3, seeds=None).epochs == 3
    assert Made(profile="full") == Made.create(profile="full") != Made()
    base = Made.create()
    assert Made.create(workers=2, device="cpu", run_folder="runs/x").hash == base.hash
    assert Made.create(gc_quantile=0.7).hash != base.hash
    assert base.folder.parts[-3:] == ("runs", "custom", base.hash)
    namespace = {"In": [""], "Out": {}, "_i": "x", "Made": Made, "epochs": 2, "seeds": None}
    assert Made.from_notebook(namespace).epochs == 2
    with pytest.raises(ParameterError, match="unknown parameter 'epoch'; did you mean 'epochs'"):
        Made.from_notebook(namespace | {"epoch": 3})


def test_lists_may_come_as_text_and_one_value_is_a_list_of_one():
    assert {Made.create(seeds=seeds).seeds for seeds in ("[0, 1]", "0,1", [0, 1])} == {(0, 1)}
    assert Made.create(seeds=3).seeds == Made.create(seeds="3").seeds == (3,)
    assert Made.create(tilts=0.5).tilts == Made.create(tilts="0.5").tilts == (0.5,)
    made = [Made.create(by=by).by for by in ("007", "true", 2024, '["a,b"]', "a, b", "")]
    assert made == [("007",), ("true",), ("2024",), ("a,b",), ("a", "b"), ()]


NO_RUNS = ["", ".", "mine", "../runs/x", "runs/../../x", "runs/a/../b", "runsx", "notebooks"]
NO_RUNS += ["~/x", "\x00", "runs/\x00"]  # a relative folder stays below runs/
test_bad_parameters_are_named = refused(
    *(({"run_folder": folder}, "parameter run_folder is") for folder in NO_RUNS),
    ({"gc_quantil": 0.9}, "unknown parameter 'gc_quantil'; did you mean 'gc_quantile'"),
    ({"profile": "fast"}, "profile is 'fast'"),
    ({"executor": "dask"}, "parameter scheduler is missing"),
    ({"epochs": 0}, "parameter epochs is 0"),
    ({"gc_quantile": float("nan")}, "parameter gc_quantile is nan"),
    ({"seeds": "[]"}, "parameter seeds"),
    ({"seeds": [-1]}, "parameter seeds.0 is -1"),
    ({"seeds": [1, 1]}, "distinct"),
    ({"tilts": ["x"]}, "parameter tilts.0 is 'x'"),
    ({"executor": "slurm"}, "parameter executor is 'slurm'"),
    act=lambda parameters: Made.create(**parameters),
    error=ParameterError,
)


def test_a_link_below_runs_does_not_lead_out_an_absolute_path_may(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "out").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr("lib.study.config.repository_root", lambda: tmp_path)
    with pytest.raises(ParameterError, match="stays below runs/"):
        Made.create(run_folder="runs/out/x")
    assert Made.create(run_folder="runs/in/x").folder == tmp_path / "runs" / "in" / "x"
    assert Made.create(run_folder=str(tmp_path)).folder == tmp_path
