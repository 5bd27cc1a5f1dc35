"""Trained ensembles that come with the package, and forecasts of one's own sequences by them.

In: codes ``(n, L)`` uint8 or a FASTA file, of the length that the assay had. Out: mean and standard
deviation of the measurement in the assay's unit, the latter also in its two parts. Each ensemble is
one safetensors file beside this module, of ``tools/export_ensembles.py``. On the command line:
``python -m lib.published wtc11 sequences.fa > forecasts.csv``.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lib.data.fasta import read_fasta
from lib.sequences import Codes
from lib.training.fitted import EnsemblePrediction, FittedModel, combine, predict

FOLDER = Path(__file__).with_suffix("")
ENDING = ".safetensors"


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks that were fitted on one fold of the assay ``name``.

    ``about`` is JSON-able: ``unit`` of the forecasts, ``input`` (what a sequence must be),
    ``split_seed`` that dealt the folds, ``data_fingerprint`` of the assay as read, ``licence``.
    """

    name: str
    members: Sequence[FittedModel]
    about: Mapping[str, Any]

    @property
    def length(self) -> int:
        """Length L of the sequences, in nt."""
        return self.members[0].length

    def predict(self, codes: Codes, device: str = "auto") -> EnsemblePrediction:
        """Forecast ``(n, L)`` uint8 codes; elements of the training part are forecast too well.

        Codes of another length or with other values are a ValueError.
        """
        forecasts = [predict(member, codes, device=device) for member in self.members]
        means, stds = zip(*forecasts, strict=True)
        return combine(means, stds)

    def predict_fasta(self, path: str | Path, device: str = "auto") -> pd.DataFrame:
        """Forecast a FASTA file: ``id, mean, std, std_aleatoric, std_epistemic`` in its order.

        A ValueError names the record, as that of :func:`lib.data.fasta.read_fasta`.
        """
        try:
            ids, codes = read_fasta(path, self.length)
        except ValueError as error:
            raise ValueError(f"{error} ({self.name} takes {self.about['input']})") from None
        return pd.DataFrame({"id": ids} | self.predict(codes, device)._asdict())


def names() -> tuple[str, ...]:
    """Names that :func:`load` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


def load(name: str) -> Ensemble:
    """A published ensemble by the name of its assay; a ValueError lists those there are.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> forecast = load("wtc11").predict(encode(["ACGT" * 50, "TATA" * 50]))
    >>> forecast.mean.shape, bool((forecast.std > forecast.std_epistemic).all())
    ((2,), True)
    """
    if name not in names():
        raise ValueError(f"there is no published ensemble {name!r}; known are {', '.join(names())}")
    return read(FOLDER / f"{name}{ENDING}")


def read(path: str | Path) -> Ensemble:
    """Read what :func:`write` wrote; any other file is a ValueError."""
    try:
        with safe_open(path, framework="numpy") as file:
            content = json.loads((file.metadata() or {})["ensemble"])
            members = []
            for index, meta in enumerate(content["members"]):
                arrays = {name: file.get_tensor(f"{index}.{name}") for name in meta["arrays"]}
                # Options that the fit left out may be gone since.
                config = {name: v for name, v in meta["config"].items() if v is not None}
                members.append(FittedModel.from_arrays(arrays, meta | {"config": config}))
        return Ensemble(content["name"], members, content["about"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not an ensemble written by lib.published: {error}") from error


def write(ensemble: Ensemble, path: str | Path) -> None:
    """Write an ensemble as one safetensors file, whole or not at all; histories are left out."""
    tensors, members = {}, []
    for index, member in enumerate(ensemble.members):
        arrays, meta = member.to_arrays()
        for name, values in arrays.items():
            tensors[f"{index}.{name}"] = np.asarray(values, order="C")
        members.append(meta | {"history": [], "arrays": sorted(arrays)})
    content = {"name": ensemble.name, "about": dict(ensemble.about), "members": members}
    save_file(tensors, f"{path}.part", metadata={"ensemble": json.dumps(content, sort_keys=True)})
    os.replace(f"{path}.part", path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print ``id, mean, std, std_aleatoric, std_epistemic`` of a FASTA file as CSV."""
    parser = argparse.ArgumentParser(prog="python -m lib.published", description=main.__doc__)
    parser.add_argument("name", choices=names(), help="the ensemble, by its assay")
    parser.add_argument("fasta", help="sequences of the assay's length, plain or gzipped")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    given = parser.parse_args(arguments)
    try:
        table = load(given.name).predict_fasta(given.fasta, given.device)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table.to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
