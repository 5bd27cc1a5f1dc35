"""Coverage under every shift: which rows stand in the front page's figure, and on which line."""

import json

import pandas as pd
import pytest

from lib.page.names import headline
from lib.study.results import tidy

BASE = {"model": "cnn", "uncertainty": "single", "metric": "picp_90", "value": 0.5, "n": 100}
BASE |= {"prior": "none", "severity": 0}


def row(data, split, shift=None, **more):
    return BASE | {"data": data, "split": split, "shift": shift} | more


def write(folder, **tables):
    for name, rows in tables.items():
        tidy(pd.DataFrame(rows)).to_csv(folder / f"{name}.csv", index=False)


def test_rows_of_the_figure_and_a_shift_without_a_line(tmp_path):
    write(
        tmp_path,
        simulation_shifts=[
            row("simulation", "test", n_train=30, value=0.9),
            row("simulation", "test", n_train=3, value=0.1),
            row("simulation", "shifted", "noise", severity=0.5, n_train=30, value=0.7),
            row("simulation", "matched", "noise", severity=0.5, n_train=30, value=0.1),
            row("simulation", "shifted", "gc", severity=1, condition="neutral", n_train=30),
        ],
        mpra_gc_ood=[
            row("wtc11", "test", value=0.85),
            row("wtc11", "test", value=0.1, seed=1),
            row("wtc11", "test", value=0.1, uncertainty="ensemble"),
            row("wtc11", "shifted", "gc_high", condition="GC ≥ 0.6", value=0.8),
        ],
        assay_and_program_shifts=[
            row("wtc11", "test", value=0.1),  # the other table has it
            row("retina_genotypes", "shifted", "genotype", condition="Rhom", value=0.6),
            row("retina_genotypes", "shifted", "genotype", condition="Rhom, 4 ε", value=0.1),
            row("wtc11", "shifted", "assay", condition="a to b", value=0.65),
        ],
    )
    figure = headline(tmp_path)
    assert '"datum": 0.9' in json.dumps(figure.spec)  # what the intervals promise
    assert figure.data[["shift", "source", "condition", "coverage"]].to_numpy().tolist() == [
        ["no shift", "simulated", "strength 0", 0.9],
        ["no shift", "measured", "", 0.85],
        ["GC content", "measured", "GC ≥ 0.6", 0.8],
        ["motif effects; genotype", "measured", "Rhom", 0.6],
        ["cell type", "measured", "a to b", 0.65],
        ["noise; noisy libraries", "simulated", "strength 0.5", 0.7],
    ]
    write(tmp_path, mpra_gc_ood=[row("wtc11", "shifted", "moonlight")])
    with pytest.raises(ValueError, match="measured shift 'moonlight' has no line"):
        headline(tmp_path)


def test_published_tables_have_a_line_for_every_shift(root):
    rows = headline(root / "results").data
    assert {"simulated", "measured"} <= set(rows["source"])
    assert rows["coverage"].between(0, 1).all()
    assert (rows["n"] >= 10).all()
