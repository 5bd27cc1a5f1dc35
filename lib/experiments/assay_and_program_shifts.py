"""Do shifts of assay and program on real cells do what their simulated twins do?

In: :class:`Config`. Out: tables of every real shift beside the simulator's.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from lib import mpra
from lib.experiments import real_arms, real_assays
from lib.experiments.config import ExperimentConfig, Seeds
from lib.experiments.mpra_gc_ood import Config as GCConfig
from lib.fit_config import FitConfig
from lib.units import Unit

GC_DATA = ("wtc11", "plant_leaf")


class Config(ExperimentConfig):
    """Parameters of notebook 05.

    Attributes
    ----------
    split_seeds : tuple of int
        Repeats of every split.
    seeds : tuple of int
        Members of the ensemble on the retina libraries.
    epochs : int
    rows : int or None
        At most so many training elements per network; None takes all.
    """

    experiment: ClassVar[str] = "assay_and_program_shifts"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {},
        "quick": {"split_seeds": (0,), "seeds": (0,), "epochs": 3, "rows": 2000},
        "full": {"split_seeds": (0, 1, 2, 3, 4), "seeds": (0, 1, 2, 3, 4)},
    }

    split_seeds: Seeds = (0,)
    seeds: Seeds = (0,)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    rows: int | None = Field(default=None, ge=100)

    @property
    def plan(self) -> real_arms.Plan:
        """How much is fitted."""
        return real_arms.Plan(
            self.split_seeds, self.seeds, self.epochs, self.rows, device=self.device
        )


def gc_networks(config: Config) -> list[tuple[real_arms.Network, real_arms.Arm]]:
    """Networks of notebook 02 that stand in for GC shifts and species."""
    gc = GCConfig.create(profile="full", device=config.device)
    data = [mpra.load(name) for name in GC_DATA]
    return real_arms.gc_networks(
        data, gc.fit(0, both_strands=True), config.split_seeds, gc.gc_quantile, gc.gc_tilts
    )


def units(config: Config) -> list[Unit]:
    """Every fit of the experiment; those of notebook 02 are its own units."""
    assays = real_assays.load_real()
    own = real_arms.networks(assays, config.plan)
    return [network.unit for network in own] + [network.unit for network, _ in gc_networks(config)]
