"""Curves of the simulated shifts from small tables, and from those that are published."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from lib.experiments.twins.curves import read_curves
from lib.experiments.twins.forecasts import TWINS
from lib.experiments.twins.parts import FAMILIES
from lib.study.results import COLUMNS


def write_results(folder: Path) -> None:
    """Three worlds of a batch shift at two dials: what notebook 01 publishes, in small."""
    keys = {"experiment": "simulation_shifts", "profile": "full", "data": "simulation"}
    keys |= {"model": "cnn", "prior": "none", "uncertainty": "single", "n_train": 30000}
    home = {"split": "test", "severity": 0.0}
    rows = [
        home | {"metric": "pearson_r", "value": 0.8, "oracle": 0.75**0.5},
        home | {"metric": "crps_gaussian", "value": 0.5, "lower": 0.4, "upper": 0.6, "worlds": 3},
    ]
    rows += [
        {"split": "shifted", "shift": "batch", "severity": dial, "metric": "crps_gaussian"}
        | {"value": 0.5 * (1 + dial), "lower": 0.4, "upper": 0.6, "worlds": 3}
        for dial in (0.5, 1.0)
    ]
    for world, covered in enumerate([0.9, 0.92, 0.88]):
        rows.append(home | {"seed": world, "metric": "picp_90", "value": covered})
        for dial, drop in ((0.5, 0.1), (1.0, 0.2 + 0.05 * world)):
            rows.append(
                {"split": "shifted", "shift": "batch", "severity": dial, "seed": world}
                | {"metric": "picp_90", "value": covered - drop}
            )
    table = pd.DataFrame([keys | row for row in rows]).reindex(
        columns=[*COLUMNS, "n_train", "worlds"]
    )
    table.to_csv(folder / "simulation_shifts.csv", index=False)
    (folder / "simulation_shifts").mkdir()
    pd.DataFrame(
        {"shift": "batch", "severity": [0.5, 1.0], "condition": None, "measured": [0.11, 0.43]}
    ).to_csv(folder / "simulation_shifts" / "severities.csv", index=False)


def test_curves_from_tables(tmp_path: Path):
    write_results(tmp_path)
    curves = read_curves(tmp_path)
    own = curves["batch", "coverage_drop"]
    assert own.dose.tolist() == [0, 0.11, 0.43]
    assert own.mean == pytest.approx([0, 0.1, 0.25])
    assert own.std == pytest.approx([0, 0, 0.05])  # drops of .2 .25 .3, paired
    assert (own.floor, own.worlds) == (pytest.approx(0.02), 3)
    pooled = curves["batch", "crps_ratio"]
    assert pooled.mean == pytest.approx([1, 1.5, 2])
    # a t interval of half-width .1 over three worlds: the s.d. between them over the mean of 1
    spread = 0.1 / t.ppf(0.975, 2) * 3**0.5
    assert pooled.std[2] == pytest.approx(2 * np.hypot(spread / 1, spread / 0.5))
    assert curves["none", "coverage_drop"].mean == 0
    assert ("gc", "coverage_drop") not in curves


def test_tables_without_worlds_are_refused(tmp_path: Path):
    write_results(tmp_path)
    path = tmp_path / "simulation_shifts.csv"
    table = pd.read_csv(path)
    table[table["seed"].isna()].to_csv(path, index=False)
    with pytest.raises(ValueError, match="no values per world"):
        read_curves(tmp_path)
    with pytest.raises(FileNotFoundError, match="run its notebook first"):
        read_curves(tmp_path / "elsewhere")


def test_published_tables_hold_every_twin(root: Path):
    curves = read_curves(root / "results")
    named = {name for chain in TWINS.values() for name in chain} | {"batch", "gc_low"}
    for metric in ("coverage_drop", "zms_ratio", "rmse_ratio", "crps_ratio"):
        assert named <= {shift for shift, own in curves if own == metric}
    for (shift, metric), own in curves.items():
        if shift != "none":
            assert len(own.dose) >= 5, (shift, metric)
            assert (np.diff(own.dose) > 0).all(), (shift, metric)
    assert set(FAMILIES) == {"", *TWINS}
