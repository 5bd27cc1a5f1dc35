"""Parameters of an experiment: a frozen schema with profiles, read from a notebook's namespace.

In: the variables a notebook holds after papermill injected its own. Out: a validated config, or one
error that names the parameter and what would do. Profiles are presets of the same schema.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lib.study.units import Placement

Profile = Literal["smoke", "quick", "full"]


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


def _from_json_text(value: Any) -> Any:
    """``papermill -p`` passes lists as text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return [part.strip() for part in value.split(",")]
    return value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("values must be distinct")
    return values


def _below_runs(value: str) -> str:
    """A relative path that does not leave ``runs/``, by links either, or an absolute one."""
    path, runs = Path(value), repository_root() / "runs"
    below = (repository_root() / path).resolve().is_relative_to(runs.resolve())
    if not path.is_absolute() and (".." in path.parts or not below):
        raise ValueError(
            "a relative path stays below runs/, such as runs/mine; an absolute one may lead "
            "anywhere"
        )
    return value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...],
    BeforeValidator(_from_json_text),
    AfterValidator(_distinct),
    Field(min_length=1),
]
Names = Annotated[tuple[str, ...], BeforeValidator(_from_json_text), Field(min_length=1)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_from_json_text), Field(min_length=1)]
# These may be empty.
AnyNames = Annotated[tuple[str, ...], BeforeValidator(_from_json_text)]
AnyShares = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1)], ...], BeforeValidator(_from_json_text)
]


class ExperimentConfig(BaseModel):
    """What every experiment takes; None in a notebook means the profile's value.

    Attributes
    ----------
    profile : {"smoke", "quick", "full"}
    draws : int
        Bootstrap draws behind every interval.
    device : {"auto", "cpu", "cuda"}
    workers : int or None
        Fits side by side; all cores by default.
    executor, scheduler : str
        Where fits run, see :func:`lib.study.units.run_units`.
    run_folder : str or None
        Where tables go; by default ``runs/custom/<config hash>``. A relative path starts at the top
        of the checkout and stays below its ``runs/``; an absolute one may lead anywhere.
    tables_from : str or None
        A folder of results, such as ``results``: its tables and parameters make the page, nothing
        is computed and nothing written.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    experiment: ClassVar[str] = ""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Where and how fast a run goes, not what it finds: left out of the hash.
    placement: ClassVar[frozenset[str]] = frozenset(
        {"workers", "executor", "scheduler", "run_folder", "device", "tables_from"}
    )

    profile: Profile = "quick"
    draws: int = Field(default=1000, ge=100, le=100_000)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = Field(default=None, ge=1, le=1024)
    executor: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    run_folder: Annotated[str, AfterValidator(_below_runs)] | None = None
    tables_from: str | None = None

    @classmethod
    def create(cls, **parameters: Any) -> Self:
        """Validate parameters over the preset of their profile.

        Raises
        ------
        ParameterError
            Naming each unknown parameter with the nearest known one, and each bad value.
        """
        known = list(cls.model_fields)
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise ParameterError("; ".join(_unknown(name, known) for name in unknown))
        given = {name: value for name, value in parameters.items() if value is not None}
        profile = given.get("profile", cls.model_fields["profile"].default)
        if not isinstance(profile, str) or profile not in cls.presets:
            raise ParameterError(f"profile is {profile!r}; use one of {sorted(cls.presets)}")
        try:
            return cls(**{**cls.presets[profile], **given})
        except ValidationError as error:
            raise ParameterError(_explain(error)) from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Read the parameters from ``globals()`` of a notebook.

        Every plain value is taken for a parameter, so a misspelt one that papermill merely warned
        of stops the notebook here. Call it before the notebook defines anything else.

        Raises
        ------
        ParameterError
            As :meth:`create`.
        """
        plain = bool | int | float | str | list | tuple | dict | None
        return cls.create(
            **{
                name: value
                for name, value in namespace.items()
                if isinstance(value, plain)
                and not name.startswith("_")
                and name not in ("In", "Out")
            }
        )

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of what the results depend on."""
        return hashlib.sha256(self.canonical_json.encode()).hexdigest()[:12]

    @property
    def canonical_json(self) -> str:
        """The config as sorted JSON, placement left out."""
        content = self.model_dump(mode="json", exclude=set(self.placement))
        return json.dumps({"experiment": self.experiment} | content, sort_keys=True)

    @property
    def where(self) -> Placement:
        """Where its units run."""
        return Placement(self.workers, self.executor, self.scheduler)

    @property
    def folder(self) -> Path:
        """Where this run's tables go."""
        if self.run_folder is not None:
            return repository_root() / self.run_folder  # an absolute path stays as it is
        return repository_root() / "runs" / "custom" / self.hash


def known_names(kind: str, given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """The given names, or all known ones for ``all``.

    Raises
    ------
    ValueError
        Naming what is not known, and what is.
    """
    unknown = sorted(set(given) - {*known, "all"})
    if unknown:
        raise ValueError(f"no {kind} {', '.join(unknown)}; use all, {', '.join(known)}")
    return known if "all" in given else given


def repository_root() -> Path:
    """The checkout this package lies in, or the working directory when installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "_toc.yml").exists() else Path.cwd()


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return (
        f"unknown parameter {name!r}; did you mean {near[0]!r}? Known: {', '.join(sorted(known))}"
    )


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"parameter {'.'.join(str(p) for p in item['loc']) or 'set'} is {item['input']!r}: "
        f"{item['msg']}"
        for item in error.errors()
    )
