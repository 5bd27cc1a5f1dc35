"""Trained ensembles that come with the package, and forecasts of one's own sequences by them.

In: codes ``(n, L)`` uint8 or a FASTA file, of the length that the assay had. Out: mean and standard
deviation of the measurement in the assay's unit, the latter also in its two parts. Each ensemble is
one safetensors file beside this module, of ``tools/export_ensembles.py``, with its SHA-256 beside.
On the command line: ``python -m lib.published wtc11 sequences.fa > forecasts.csv``.
"""

import argparse
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save_file

from lib.data.fasta import read_fasta
from lib.data.files import regular
from lib.sequences import UNKNOWN, Codes
from lib.study.terminal import command

# Networks take seconds to import; a command that names no file should not wait for them.
if TYPE_CHECKING:
    from lib.training.fitted import EnsemblePrediction, FittedModel

FOLDER = Path(__file__).with_suffix("")
ENDING, DIGEST = ".safetensors", ".sha256"
# Of a record's letters. Padding is nothing that the networks saw: the more there is of it, the more
# alike their forecasts are, so that the epistemic part falls while the error rises.
MUCH_UNKNOWN, MOST_UNKNOWN = 0.1, 0.5


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks that were fitted on one fold of the assay ``name``.

    ``about`` is JSON-able: ``unit`` of the forecasts, ``input`` (what a sequence must be),
    ``split_seed`` that dealt the folds, ``data_fingerprint`` of the assay as read, ``licence``.
    """

    name: str
    members: Sequence["FittedModel"]
    about: Mapping[str, Any]

    @property
    def length(self) -> int:
        """Length L of the sequences, in nt."""
        return self.members[0].length

    def predict(self, codes: Codes, device: str = "auto") -> "EnsemblePrediction":
        """Forecast ``(n, L)`` uint8 codes; elements of the training part are forecast too well.

        Codes of another length or with other values are a ValueError.
        """
        from lib.training.fitted import combine, predict

        forecasts = [predict(member, codes, device=device) for member in self.members]
        means, stds = zip(*forecasts, strict=True)
        return combine(means, stds)

    def predict_fasta(self, path: str | Path, device: str = "auto") -> pd.DataFrame:
        """Forecast a FASTA file: ``id, mean, std, std_aleatoric, std_epistemic`` in its order.

        A ValueError names the record, as that of :func:`lib.data.fasta.read_fasta`, also one that
        is mostly N; where over a tenth of a record is N, a warning says what that does.
        """
        try:
            ids, codes = read_fasta(path, self.length)
        except ValueError as error:
            raise ValueError(f"{error} ({self.name} takes {self.about['input']})") from None
        unknown = (codes == UNKNOWN).mean(axis=1)
        most = int(np.argmax(unknown))
        if unknown[most] > MOST_UNKNOWN:
            raise ValueError(
                f"{path}: record {ids[most]!r} is {unknown[most]:.0%} N; of what is mostly unknown "
                f"there is no forecast ({self.name} takes {self.about['input']})"
            )
        if times := int((unknown > MUCH_UNKNOWN).sum()):
            warnings.warn(
                f"{path}: over {MUCH_UNKNOWN:.0%} of {times} records, such as {ids[most]!r}, is N: "
                "networks look surer of padding than they are",
                stacklevel=2,
            )
        return pd.DataFrame({"id": ids} | self.predict(codes, device)._asdict())


def names() -> tuple[str, ...]:
    """Names that :func:`load` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{ENDING}")))


def load(name: str) -> Ensemble:
    """A published ensemble by the name of its assay; a ValueError lists those there are.

    A file that is not the published one, by its digest or the name in it, is a ValueError too.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> forecast = load("wtc11").predict(encode(["ACGT" * 50, "TATA" * 50]))
    >>> forecast.mean.shape, bool((forecast.std > forecast.std_epistemic).all())
    ((2,), True)
    """
    if name not in names():
        raise ValueError(f"there is no published ensemble {name!r}; known are {', '.join(names())}")
    from lib.training.fitted import FittedModel

    path = FOLDER / f"{name}{ENDING}"
    try:
        raw = path.read_bytes()  # once: what is hashed is what is used
        if digest_path(path).read_text("utf-8")[:64] != hashlib.sha256(raw).hexdigest():
            raise ValueError(f"its SHA-256 is not that in {digest_path(path).name}; restore both")
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        content, tensors = json.loads(header["__metadata__"]["ensemble"]), tensors_of(raw)
        if content["name"] != name:
            raise ValueError(f"it holds the ensemble {content['name']!r}; restore it")
        members = []
        for index, meta in enumerate(content["members"]):
            arrays = {name: tensors[f"{index}.{name}"] for name in meta["arrays"]}
            # Options that the fit left out may be gone since.
            config = {name: v for name, v in meta["config"].items() if v is not None}
            members.append(FittedModel.from_arrays(arrays, meta | {"config": config}))
        return Ensemble(name, members, content["about"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not an ensemble written by lib.published: {error}") from error


def digest_path(path: str | Path) -> Path:
    """Where the SHA-256 of a file lies, as ``sha256sum`` writes it."""
    return Path(f"{path}{DIGEST}")


def write(ensemble: Ensemble, path: str | Path) -> None:
    """Write an ensemble as one safetensors file, whole or not at all, and its digest beside it.

    Histories are left out.
    """
    tensors, members = {}, []
    for index, member in enumerate(ensemble.members):
        arrays, meta = member.to_arrays()
        for name, values in arrays.items():
            tensors[f"{index}.{name}"] = np.asarray(values, order="C")
        members.append(meta | {"history": [], "arrays": sorted(arrays)})
    content = {"name": ensemble.name, "about": dict(ensemble.about), "members": members}
    save_file(tensors, f"{path}.part", metadata={"ensemble": json.dumps(content, sort_keys=True)})
    digest = hashlib.sha256(Path(f"{path}.part").read_bytes()).hexdigest()
    digest_path(path).unlink(missing_ok=True)  # or a kill would leave that of the old file
    os.replace(f"{path}.part", path)
    digest_path(path).write_text(f"{digest}  {Path(path).name}\n", "utf-8")


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Print ``id, mean, std, std_aleatoric, std_epistemic`` of a FASTA file as CSV.

    An id that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    parser = argparse.ArgumentParser(prog="python -m lib.published", description=main.__doc__)
    parser.add_argument("name", choices=names(), help="the ensemble, by its assay")
    parser.add_argument("fasta", help="sequences of the assay's length, plain or gzipped")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    given = parser.parse_args(arguments)
    regular(given.fasta, "give the path of a FASTA file")
    with warnings.catch_warnings(record=True) as said:
        table = load(given.name).predict_fasta(given.fasta, given.device)
    from lib.study.results import without_formulas

    for one in said:
        print(f"note: {one.message}", file=sys.stderr)
    table = without_formulas(table)
    table.to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    sys.exit(main())
