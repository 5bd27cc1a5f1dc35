"""Parameters that experiments on simulated worlds share."""

from pydantic import Field, field_validator

from lib.experiments.sim_arms import Sizes
from lib.models import MODELS
from lib.simulator import SHIFTS
from lib.study.config import ExperimentConfig, known_names
from lib.training.config import FitConfig


class WorldConfig(ExperimentConfig):
    """How networks are trained in a world; checks shifts, severities and models where there are.

    Attributes
    ----------
    n_train, n_validation, n_calibration : int
        Elements per part of a world.
    epochs : int
        Of a network in a world.
    """

    n_train: int = Field(default=30_000, ge=100, le=10_000_000)
    n_validation: int = Field(default=3_000, ge=50, le=1_000_000)
    n_calibration: int = Field(default=3_000, ge=50, le=1_000_000)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)

    @field_validator("shifts", check_fields=False)
    @classmethod
    def _known_shifts(cls, shifts: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("shift", shifts, tuple(SHIFTS))

    @field_validator("models", check_fields=False)
    @classmethod
    def _known_models(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        return known_names("model", models, tuple(MODELS))

    @field_validator("severities", check_fields=False)
    @classmethod
    def _on_dial(cls, severities: tuple[float, ...]) -> tuple[float, ...]:
        outside = [value for value in severities if not 0 < value <= 1]
        if outside:
            raise ValueError(f"severity {outside[0]:g} is not in (0, 1]; 0 is always run")
        return tuple(sorted(set(severities)))


class TestedWorldConfig(WorldConfig):
    """With a test part of its own.

    Attributes
    ----------
    n_test : int
        Elements of the test part.
    """

    n_test: int = Field(default=10_000, ge=200, le=1_000_000)

    @property
    def parts(self) -> Sizes:
        """Elements per part of a world."""
        return Sizes(self.n_train, self.n_validation, self.n_calibration, self.n_test)
