"""Trials of how side features enter a network, alike for decoys and their placebo.

In: worlds by seed, by default two that no claim rests on. Out: ``book/tuning_side.csv``, a
row per fit, written after each world. Only validation parts are read, never the noise-free
activity. Finished fits are kept in the store: a run that was stopped goes on where it was. A world
takes 14 fits, about 35 minutes of one core.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import pandas as pd

from lib.experiments.priors import PRIOR, fit_prior
from lib.experiments.worlds import MAIN_MODEL, Arm, Sizes
from lib.models.networks import ENTRIES
from lib.study.config import repository_root
from lib.study.results import default_store, to_csv, write_atomic
from lib.study.units import HERE, Placement, Store, Unit, run_fits
from lib.training.config import FitConfig
from tools.learning_rates import validated

WORLDS: Final = (50, 51)
RATES: Final = (8e-3, 4e-3)  # the first of them with features
DROPOUTS: Final = (0.0, 0.3)  # of the features
TOLD: Final = (PRIOR, "permuted")
SIZE: Final = 8_000
PARTS: Final = Sizes(train=8_000, validation=1_000, calibration=1_000, test=1_000)
WAY: Final = ["prior", "entry", "side_dropout", "learning_rate"]


@dataclass(frozen=True)
class Trial:
    """One fit: what :func:`lib.experiments.priors.fit_prior` takes, and the arm."""

    arm: Arm
    entry: str
    side_dropout: float
    rate: float
    parts: Sizes = PARTS
    epochs: int = FitConfig().epochs
    device: str = FitConfig().device
    precision: str = FitConfig().precision
    channels: int = 0

    @property
    def unit(self) -> Unit:
        """The unit that fits it."""
        return fit_prior(self.arm, self, learning_rate=self.rate)

    @property
    def keys(self) -> dict[str, Any]:
        """Columns that name its row; the way in is empty without features."""
        arm = {"world": self.arm.world_seed, "n_train": self.arm.size, "prior": self.arm.prior}
        way = {"entry": self.entry, "side_dropout": self.side_dropout}
        return arm | way | {"learning_rate": self.rate}


def trials(world: int, **more: Any) -> Iterator[Trial]:
    """Every fit of a world; without features the rates alone can be tried."""
    for rate in RATES:
        yield Trial(Arm(world, MAIN_MODEL, SIZE), "", 0.0, rate, **more)
    for prior, *way in product(TOLD, ENTRIES, DROPOUTS):
        yield Trial(Arm(world, MAIN_MODEL, SIZE, prior=prior), *way, RATES[0], **more)


def record(made: Sequence[Trial], store: Store, where: Placement = HERE) -> pd.DataFrame:
    """A row per trial: validation NLL (in SDs of training targets) and r at the kept epoch."""
    fits = run_fits([trial.unit for trial in made], store, where, "trials")
    return pd.DataFrame([t.keys | validated(fit) for t, fit in zip(made, fits, strict=True)])


def chosen(table: pd.DataFrame) -> pd.Series:
    """Whether a row is of its prior's setting with the least mean validation NLL.

    The mean is over worlds, all of which every setting has.
    """
    loss = table.groupby(WAY)["nll"].mean()
    best = set(loss.groupby("prior").idxmin())
    return pd.Series([tuple(row) in best for row in table[WAY].to_numpy()], table.index)


def main(worlds: Sequence[int]) -> None:
    """Run the trials world by world."""
    target, tables, store = repository_root() / "book" / "tuning_side.csv", [], default_store()
    for world in worlds:
        tables.append(record(list(trials(world)), store))
        table = pd.concat(tables, ignore_index=True)
        told = table.assign(chosen=chosen(table))
        write_atomic(target, to_csv(told.rename(columns=lambda name: name.replace("_", " "))))
    print(f"wrote {target}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or WORLDS)
