"""Recomputes a sample of the published units from nothing and holds it against what was published.

In: ``results/<experiment>/units.csv`` and the manifest, both of a publication. Out: a verdict on
each unit of the sample. An experiment is run with a plan in place of its store, so that it names
its units and computes none; what a unit of the sample is computed from is computed again, too. Of
simulated worlds one is drawn at random, since each takes a while to simulate.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from lib.study import results
from lib.study.units import Placement, Result, Store, Unit, cores, run_units

EQUAL, WITHIN, NEITHER = "equal bytes", "within the spread of seeds", "neither"
SPREADS = 3.0  # standard deviations between published seeds that a score may lie apart
ROUNDING = 1e-4  # of a score, which is published with five digits
PLANNING = 0.25  # share of the time


class _NotComputed(Exception):
    """A run asked for the content of a unit that was only planned."""


class Planned(Result):
    """A published result of which no more is known than the unit and the fingerprint."""

    unit: Unit

    def __init__(self, unit: Unit, fingerprint: str) -> None:
        vars(self).update(unit=unit, fingerprint=fingerprint)

    @property
    def arrays(self) -> Any:
        """There are none: this ends the planning."""
        raise _NotComputed

    meta = arrays


def read_published(folder: Path) -> pd.DataFrame:
    """Every ``units.csv`` of a folder by key, with ``experiment`` and mean ``seconds``."""
    tables = [pd.DataFrame(columns=["key"])]
    for name, entry in results.read_manifest(folder).items():
        if (path := folder / name / "units.csv").is_file():
            table = pd.read_csv(path, dtype=str).astype({"score": float})
            seconds = table["kind"].map(entry["unit_seconds"])
            tables.append(table.assign(experiment=name, seconds=seconds))
    return pd.concat(tables).drop_duplicates("key").set_index("key")


def plan(experiment: str, parameters: Mapping[str, Any], contents: pd.Series) -> dict[str, Unit]:
    """The published units of a run by key, until the run needs what one of them finds.

    ``contents`` are the published fingerprints by key.
    """
    found: dict[str, Unit] = {}

    def answer(units: Sequence[Unit]) -> list[Result]:
        found.update({unit.key: unit for unit in units})
        return [Planned(unit, contents.get(unit.key, "")) for unit in units]

    module = import_module(f"lib.experiments.{experiment}")
    with suppress(_NotComputed):
        module.run(module.Config.create(**parameters), Store(Path(), plan=answer))
    return {key: found[key] for key in found if key in contents.index}


def _inputs(unit: Unit) -> dict[str, Unit]:
    return {name: one.unit for name, one in unit.data.items() if isinstance(one, Planned)}


def compute(unit: Unit, store: Store) -> Result:
    """The result of a unit and, before it, of every unit that it was planned to be made from."""
    made = {name: compute(one, store) for name, one in _inputs(unit).items()}
    return run_units([replace(unit, data={**unit.data, **made})], store, Placement(workers=1))[0]


def described(key: str, unit: Unit, store: Store) -> dict[str, Any]:
    """What a unit is known by when it is computed now."""
    return {"key": key} | unit.described(compute(unit, store))


def verdict(again: Mapping[str, Any], published: pd.DataFrame) -> str:
    """Whether a unit is what it was: its bytes, or its score within what seeds differ by."""
    row, others = published.loc[again["key"]], published.drop(again["key"])
    alike = others[others["function"] == row["function"]].groupby("kind")["score"]
    spreads = alike.std()[alike.size() > 2]
    spread = np.nan_to_num(spreads.get(row["kind"], spreads.median()))  # of others if it has few
    allowed = SPREADS * spread + ROUNDING * abs(row["score"])
    near = abs(again["score"] - row["score"]) <= allowed
    return EQUAL if again["content"] == row["content"] else WITHIN if near else NEITHER


def verify(root: Path, minutes: float, seed: int) -> int:
    """Recompute units for about so many minutes on all cores, and say how each agrees.

    ``seed`` draws them, every kind before a second unit of one. ``runs/verify.csv`` keeps what was
    found. Returns 0, 1 where one does not agree, 2 where nothing could be compared.
    """
    start, end = time.monotonic(), time.monotonic() + 60 * minutes
    published, rng = read_published(root / "results"), np.random.default_rng(seed)
    entries, units, made = results.read_manifest(root / "results"), dict[str, Unit](), list[Any]()
    if published.empty:
        print("nothing published says what its units were; make publish writes units.csv")
        return 2
    for name in rng.permutation(published["experiment"].unique()):
        parameters = dict(entries[name]["config"])
        if worlds := parameters.get("world_seeds"):
            parameters["world_seeds"] = [int(rng.choice(worlds))]
        if time.monotonic() < start + PLANNING * (end - start) or not units:
            try:
                units |= plan(name, parameters, published["content"])
            except (ValueError, OSError) as error:  # parameters have changed, or data are missing
                print(f"{name}: left out: {error}")
    drawn = published.loc[sorted(units)].sample(frac=1, random_state=seed)
    drawn = drawn.iloc[np.argsort(drawn.groupby("kind").cumcount(), kind="stable")]

    def seconds(unit: Unit) -> float:
        return float(published["seconds"][unit.key]) + sum(map(seconds, _inputs(unit).values()))

    def jobs(store: Store) -> Iterator[Any]:
        for key in drawn.index:
            if time.monotonic() + seconds(units[key]) <= end:
                yield delayed(described)(key, units[key], store)

    with TemporaryDirectory() as folder:
        pool = Parallel(cores(), return_as="generator_unordered", pre_dispatch="n_jobs")
        for again in pool(jobs(Store(Path(folder)))):
            row = published.loc[again["key"], ["experiment", "score"]]
            said = {"verdict": verdict(again, published), "score_again": again["score"]}
            made.append(again | dict(row) | said)
            print("{verdict}: {experiment}, {function}, {key:.12}".format(**made[-1]), flush=True)
    print(
        f"{len(made)} of {len(published)} published units were computed again; {len(units)} could "
        "be planned from today's source and the data at hand"
    )
    results.write_atomic(root / "runs" / "verify.csv", results.to_csv(pd.DataFrame(made)))
    return int(NEITHER in {one["verdict"] for one in made}) if made else 2
