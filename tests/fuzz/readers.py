"""What reads strangers' input: for each, files to damage, the call, what a result must be.

A case ends in a result that holds to its contract or in a documented error that names the thing.
"""

import gzip
import io
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.data import predictions
from lib.data.table import load_table
from lib.motifs.pwm import PWM, jaspar, read_meme
from lib.sequences import decode
from lib.study.config import ExperimentConfig, ParameterError

from .mutations import NASTY, damaged, value

EXPERIMENTS: tuple[type[ExperimentConfig], ...] = tuple(
    import_module(f"lib.experiments.{name}").Config
    for name in (
        *("assay_and_program_shifts", "motif_recovery", "mpra_gc_ood", "selective_prediction"),
        *("simulation_shifts", "structural_priors", "uncertainty_repair"),
    )
)


class Case(NamedTuple):
    """One input and what to do with it.

    ``call`` returns a result, whose contract ``holds`` asserts, or raises one of ``allowed`` with
    one of ``names`` in its message; ``known`` are parts of errors that are known to escape.
    """

    call: Callable[[], Any]
    allowed: tuple[type[Exception], ...]
    names: tuple[str, ...]
    holds: Callable[[Any], None]
    known: tuple[str, ...] = ()


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dna = decode(rng.integers(0, 4, (12, 24), dtype=np.uint8))
    table = pd.DataFrame({"sequence": dna, "activity": rng.normal(size=12).round(3)})
    noise = rng.uniform(0.1, 1, 12).round(3)
    return table.assign(noise=noise, parent=[f"p{i // 2}" for i in range(12)])


def _forecasts() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"id": [f"e{i}" for i in range(10)]})
    table[["target", "mean"]] = rng.normal(size=(2, 10)).round(3).T
    table["std"], table["gc"] = rng.uniform(0.1, 1, 10).round(3), rng.uniform(0.2, 0.8, 10).round(3)
    return table.assign(split=["test"] * 5 + ["calibration"] * 5)


def _files(frame: pd.DataFrame) -> dict[str, bytes]:
    """A table in the shapes that people send."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    comma, tab = frame.to_csv(index=False).encode(), frame.to_csv(sep="\t", index=False).encode()
    semicolon = frame.to_csv(sep=";", index=False).encode().replace(b"\n", b"\r\n")
    typed, commas = io.BytesIO(), frame.to_csv(sep=";", decimal=",", index=False).encode()
    frame.astype(dict.fromkeys(frame.columns[[0, 1, -1]], "category")).to_parquet(typed)
    return {
        "c.csv": b"sep=;\n" + commas,
        "d.csv": b"# by a model\n" + comma,
        "b.parquet": typed.getvalue(),
        "a.csv": comma,
        "a.tsv": tab,
        "b.csv": semicolon,
        "a.csv.gz": gzip.compress(comma, mtime=0),
        "a.parquet": buffer.getvalue(),
    }


MEME = """MEME version 4
ALPHABET= ACGT
strands: + -
Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25
MOTIF MA0001.1 first
letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0
0.7 0.1 0.1 0.1
0.1 0.7 0.1 0.1
 0.25 0.25 0.25 0.25

MOTIF second
letter-probability matrix: alength= 4 w= 2
1 0 0 0
0 0 0 1
URL http://localhost
"""
TABLES, FORECASTS = _files(_frame()), _files(_forecasts())
IDS = ("MA0148.5", "FOXA1", "sp1", "MA0079.5", "MA0001", "CTCF", "Ar", "MA0065.1")


def _spoilt(files: Mapping[str, bytes], folder: Path, rng: np.random.Generator) -> Path:
    name = list(files)[int(rng.integers(len(files)))]
    path = folder / name
    path.write_bytes(damaged(files[name], rng))
    return path


def _pick(rng: np.random.Generator, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _is_data_set(data: Any) -> None:
    assert len(data.codes) == len(data.activity) == len(data.group) > 0
    assert np.isfinite(data.activity).all() and data.codes.max() <= 4
    assert data.noise_std is None or (data.noise_std > 0).all()


def table_case(folder: Path, rng: np.random.Generator) -> Case:
    """A measured table of one's own."""
    path = _spoilt(TABLES, folder, rng)
    options = {
        "noise_column": _pick(rng, None, "noise"),
        "group_column": _pick(rng, None, "parent", "parent"),
        "keep_shared_ends": _pick(rng, False, True),
    }
    names = (str(path), "column ", path.name.split(".")[0] + " has")
    return Case(lambda: load_table(path, **options), (ValueError,), names, _is_data_set)


def _are_motifs(motifs: Any) -> None:
    for pwm in motifs:
        assert isinstance(pwm, PWM) and pwm.probabilities.shape == (4, pwm.width)
        assert np.allclose(pwm.probabilities.sum(axis=0), 1)


def meme_case(folder: Path, rng: np.random.Generator) -> Case:
    """A MEME file."""
    path = _spoilt({"motifs.meme": MEME.encode()}, folder, rng)
    return Case(lambda: read_meme(path), (ValueError,), (str(path),), _are_motifs)


def jaspar_case(folder: Path, rng: np.random.Generator) -> Case:
    """Names and releases of JASPAR matrices."""
    names = []
    for _ in range(int(rng.integers(1, 3))):
        name = _pick(rng, *IDS)
        if rng.random() < 0.4:
            cut = int(rng.integers(len(name) + 1))
            name = name[:cut] + str(_pick(rng, *NASTY)) + name[cut + int(rng.integers(2)) :]
        names.append(name)
    release = _pick(rng, "JASPAR2024", "JASPAR2024", "JASPAR2022", *NASTY[:3])
    said = ("motif ", "release ")
    # Said by the database: pyjaspar puts names into its query between quotes.
    known = ("OperationalError", "ProgrammingError")
    return Case(lambda: jaspar(names, release), (ValueError,), said, _are_motifs, known)


def config_case(folder: Path, rng: np.random.Generator) -> Case:
    """Parameters of an experiment."""
    kind = EXPERIMENTS[int(rng.integers(len(EXPERIMENTS)))]
    known = list(kind.model_fields)
    given: dict[str, Any] = {"profile": _pick(rng, *("smoke", "quick", "full") * 3, value(rng))}
    presets = [item for preset in kind.presets.values() for item in preset.items()]
    for _ in range(int(rng.integers(1, 4))):
        name = _pick(rng, *known)
        usual = [kind.model_fields[name].default, *(v for key, v in presets if key == name)]
        chosen = usual[int(rng.integers(len(usual)))] if rng.random() < 0.6 else value(rng)
        given[name if rng.random() < 0.95 else name[:-1] + _pick(rng, *NASTY)] = chosen
    create = kind.from_notebook if rng.random() < 0.3 else lambda names: kind.create(**names)
    return Case(lambda: create(given), (ParameterError,), ("parameter ", "profile is"), _is_config)


def _is_config(config: Any) -> None:
    again = type(config).create(**config.model_dump(exclude_none=True))
    assert again.hash == config.hash and len(config.hash) == 12


def predictions_case(folder: Path, rng: np.random.Generator) -> Case:
    """A table of forecasts."""
    path = _spoilt(FORECASTS, folder, rng)
    wrong = {"gc": "GC"}, {"absent": "std"}, {"gc": "std"}, {"split": "gc", "gc": "split"}
    rename = _pick(rng, *[None] * 3, *wrong)
    errors, names = (ValueError,), (str(path),)
    return Case(lambda: predictions.read(path, rename=rename)[0], errors, names, _are_forecasts)


def _are_forecasts(table: Any) -> None:
    assert len(table) > 0 and np.isfinite(table[["target", "mean", "std"]]).all(axis=None)
    assert (table["std"] > 0).all() and list(table.columns[:4]) == list(predictions.REQUIRED)


READERS: Mapping[str, Callable[[Path, np.random.Generator], Case]] = {
    "tables": table_case,
    "MEME files": meme_case,
    "JASPAR names": jaspar_case,
    "parameters": config_case,
    "prediction files": predictions_case,
}
