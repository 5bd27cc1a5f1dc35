"""What an experiment takes and returns: a frozen config with profiles, and its tables.

In: what a notebook holds after papermill's injection. Out: a validated config, or one error that
names the parameter and what would do. Profiles are presets of the same schema.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

import pandas as pd
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lib.study.units import Placement

Profile = Literal["smoke", "quick", "full"]


class ParameterError(ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


def _as_list(value: Any) -> Any:
    """``papermill -p`` passes a list as text, and one value as itself: a list of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return json.loads(value)
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return [value] if isinstance(value, bool | int | float) else value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("values must be distinct")
    return values


def _below_runs(value: str) -> str:
    """A relative path that does not leave ``runs/``, by links either, or an absolute one."""
    path, root = Path(value), repository_root()
    below = (root / path).resolve().is_relative_to((root / "runs").resolve())
    if not path.is_absolute() and (".." in path.parts or not below):
        raise ValueError(
            "a relative path stays below runs/, such as runs/mine; an absolute one may lead "
            "anywhere"
        )
    return value


FromText = BeforeValidator(_as_list)
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seeds = Annotated[tuple[Seed, ...], FromText, AfterValidator(_distinct), Field(min_length=1)]
Name = Annotated[str, Field(coerce_numbers_to_str=True)]  # 007 stays 007
AnyNames = Annotated[tuple[Name, ...], FromText, AfterValidator(_distinct)]  # or none
Names = Annotated[AnyNames, Field(min_length=1)]
Numbers = Annotated[tuple[float, ...], FromText, AfterValidator(_distinct), Field(min_length=1)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=2)], ...], FromText, AfterValidator(_distinct)]


# Of every experiment: what is published must not depend on which processor is at hand, and half as
# wide a network learns as much from the few elements of a quick run in less than half the time.
USUAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "smoke": {"channels": 8},
    "quick": {"channels": 16},
    "full": {"precision": "float32"},
}


class ExperimentConfig(BaseModel):
    """What every experiment takes; None in a notebook means the profile's value.

    ``draws`` are the bootstrap draws behind every interval; ``precision`` is that of fits, where
    ``auto`` is float32. Convolutions of networks have ``channels``, or with 0 as many as the
    network itself would. ``workers`` fits run side by side (on all cores by default); ``executor``
    and ``scheduler`` say where, see :func:`lib.study.units.run_units`. Tables go to ``run_folder``,
    by default ``runs/custom/<config hash>``: a relative path starts at the top of the checkout and
    stays below its ``runs/``, an absolute one may lead anywhere. With ``tables_from``, a folder of
    results, its tables and parameters make the page; nothing is computed and nothing written.
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
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels: int = Field(default=0, ge=0, le=1024)
    workers: int | None = Field(default=None, ge=1, le=1024)
    executor: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    run_folder: Annotated[str, AfterValidator(_below_runs)] | None = None
    tables_from: str | None = None

    def __init__(self, **given: Any) -> None:
        own = {name: value for name, value in given.items() if value is not None}
        profile = str(own.get("profile", "quick"))
        super().__init__(**{**USUAL.get(profile, {}), **self.presets.get(profile, {}), **own})

    @classmethod
    def create(cls, **parameters: Any) -> Self:
        """Validate parameters over their profile's preset; a ParameterError names each bad one."""
        known = sorted(cls.model_fields)
        if unknown := sorted(set(parameters) - set(known)):
            near = {name: difflib.get_close_matches(name, known, 1, cutoff=0) for name in unknown}
            said = [f"unknown parameter {a!r}; did you mean {b!r}?" for a, (b,) in near.items()]
            raise ParameterError(f"{' '.join(said)} Known: {', '.join(known)}")
        if parameters.get("executor") == "dask" and parameters.get("scheduler") is None:
            raise ParameterError(
                "parameter scheduler is missing: executor='dask' needs one, 'tcp://host:port'"
            )
        try:
            return cls(**parameters)
        except ValidationError as error:
            wrong = [
                f"parameter {'.'.join(map(str, item['loc'])) or 'set'} is {item['input']!r}: "
                f"{item['msg']}"
                for item in error.errors()
            ]
            raise ParameterError("; ".join(wrong)) from None

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Read the parameters from ``globals()`` of a notebook, before it defines anything else.

        Every plain value counts, so that one which papermill merely warned of stops it here.
        """
        plain = bool | int | float | str | list | tuple | dict | None
        named = {k: v for k, v in namespace.items() if k not in ("In", "Out") and k[0] != "_"}
        return cls.create(**{k: v for k, v in named.items() if isinstance(v, plain)})

    @property
    def parameters(self) -> dict[str, Any]:
        """What the results depend on: all parameters but those of placement."""
        return self.model_dump(mode="json", exclude=set(self.placement))

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of what the results depend on."""
        content = json.dumps({"experiment": self.experiment} | self.parameters, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def where(self) -> Placement:
        """Where its units run."""
        return Placement(self.workers, self.executor, self.scheduler)

    @property
    def folder(self) -> Path:
        """Where this run's tables go."""
        default = Path("runs", "custom", self.hash)
        return repository_root() / (default if self.run_folder is None else self.run_folder)


class Tables(NamedTuple):
    """What an experiment finds; its ``run`` says which tables there are.

    ``rows`` are tidy results, see :mod:`lib.study.results`; ``tables`` other shapes, by name;
    ``data`` is the fingerprint of each data set by name, for the manifest.
    """

    rows: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    data: dict[str, str]


def known(kind: str, names: Iterable[str]) -> AfterValidator:
    """Of a parameter that holds such names, or ``all``; an error names what is not known."""
    every = tuple(names)

    def check(given: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(given) - {*every, "all"}):
            raise ValueError(f"no {kind} {', '.join(unknown)}; use all, {', '.join(every)}")
        return every if "all" in given else given

    return AfterValidator(check)


def repository_root() -> Path:
    """The checkout this package lies in, or the working directory when installed elsewhere."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "_toc.yml").exists() else Path.cwd()
