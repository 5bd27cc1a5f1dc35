"""Do structural priors help a network, in distribution and under shift, more than a placebo does?

In: :class:`Config`. Out: :class:`Tables`. In simulated worlds the book's CNN is given motif-derived
features beside placebos of the same width, from training samples of several sizes; on real assays
a CNN is given GC content or motif scores. Worlds and folds pair every prior with its placebo. In
worlds errors are RMSE against the noise-free activity f; gains are ratios of errors, or shares of a
squared error taken away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from lib.experiments import mpra_gc_ood, priors, worlds
from lib.experiments.assays import GC_DATA, STANDIN, SUBSET, AssayConfig, load_assays
from lib.experiments.dose_response import crossing_row, size_at
from lib.experiments.priors import ASSAY_PRIORS, PRIOR, PRIORS, PUBLISHED, Told
from lib.experiments.worlds import MAIN_MODEL, NOISY, REWIRING, Arm, Condition
from lib.simulator.assay import digest
from lib.statistics.effects import CHANGES, ENDS, Effect, Rows, against, effect, over_replicates
from lib.study.config import Names, Numbers, Seeds, Sizes, Tables, known
from lib.study.units import Store, run_fits

PLACEBOS: Final = ("permuted", "motif_unrelated")  # the same values, and the same width
REFERENCES: Final = ("none", *PLACEBOS)
WORTH: Final = 0.97  # a ratio of errors; above it a gain has ended
CHANGED: Final = (Effect("rmse_f_ratio", "rmse_f", "ratio"),)
KIND: Final = ("data", "model", "n_train")
PLACE: Final = ("split", "shift", "family", "condition", "cell")
OF_PRIOR: Final = ("severity", "prior", "against")


def prior_effects(values: pd.DataFrame) -> Rows:
    """Every prior against none and the placebos, for each network, size and condition."""
    columns = [*KIND, *PLACE]
    for given, rows in values.groupby(columns, sort=False, dropna=False):
        keys: dict[str, Any] = dict(zip(columns, given, strict=True))
        keys["severity"] = round(float(rows["severity"].mean()), 4)
        parts = dict(iter(rows.groupby("prior")))
        for reference in REFERENCES:
            for prior, part in parts.items():
                if prior != reference and reference in parts:
                    keys |= {"prior": prior, "against": reference}
                    yield from against(part, parts[reference], CHANGED, **keys)


def _logs(errors: pd.DataFrame, columns: str, *more: str) -> pd.DataFrame:
    """Logarithms of errors, a row per world (and ``more``), a column per value of ``columns``."""
    index = ["replicate", *more]
    return errors.pivot(index=index, columns=columns, values="value").apply(np.log)


def size_effects(errors: pd.DataFrame) -> Rows:
    """At how many training elements the ratio of errors in distribution reaches :data:`WORTH`.

    Worlds with all sizes count.
    """
    logs = _logs(errors[errors["split"] == "test"], "prior", "n_train")
    for reference in REFERENCES:
        if not {PRIOR, reference} <= set(logs):
            continue
        ratios = (logs[PRIOR] - logs[reference]).unstack("n_train")
        ratios = ratios.dropna(axis=1, how="all").dropna()
        if ratios.empty or ratios.shape[1] < 3:
            continue
        sizes = ratios.columns.to_numpy(float)
        level = float(np.log(WORTH))
        ends = pd.Series([size_at(sizes, own, level) for _, own in ratios.iterrows()])
        keys = {"prior": PRIOR, "against": reference, "split": "test"}
        yield crossing_row("gain_ends_at", ends, **keys)


def line_effects(errors: pd.DataFrame, n_train: int) -> Rows:
    """Shifted error over that on a line through a world's no-prior networks of all training sizes.

    The line is of log RMSE against f, shifted on in distribution. Below 1 a prior gives robustness
    beyond accuracy.
    """
    rows = errors[errors["split"] != "matched"]
    places = rows.drop_duplicates("cell").set_index("cell", drop=False)[list(PLACE)]
    points = _logs(rows, "cell", "prior", "n_train").reset_index()
    if points.loc[points["prior"] == "none", "n_train"].nunique() < 3:
        return
    full = (points["n_train"] == n_train) & (points["prior"] != "none")
    for cell in places.index.drop(""):
        above = pd.concat([_above_line(part, cell) for _, part in points.groupby("replicate")])
        for prior, values in above[full].groupby(points["prior"][full]):
            keys = {"prior": prior, "against": "line", **places.loc[cell]}
            yield effect("rmse_f_over_line", values, log=True, **keys)


def _above_line(points: pd.DataFrame, cell: str) -> pd.Series:
    """How far one world's networks lie above the line of those without a prior, if it has one."""
    plain = points.loc[points["prior"] == "none", ["", cell]].dropna()
    line = np.polyfit(plain[""], plain[cell], 1) if len(plain) > 1 else [np.nan]
    return (points[cell] - np.polyval(line, points[""])).round(12)


def noise_effects(errors: pd.DataFrame, n_train: int, cells: Sequence[str]) -> Rows:
    """Gain of the prior where noise dominates less half its mean gain under the genomic ``cells``.

    Gains are shares of the squared error against f. Under noise networks were trained at it;
    ``gain_at_test_noise`` is of those trained in distribution, where only labels that are not read
    differ: that of the test sample without noise. Where ``gain_under_shifts`` is not above 0 beyond
    doubt there is no gain to lose.
    """
    split, cell = errors["split"], errors["cell"]
    trained, alone = ((split == name) & (cell == NOISY.cell) for name in ("matched", "shifted"))
    genomic = (split == "shifted") & cell.isin(cells)
    rows = errors.assign(cell=cell.mask(trained, "trained").mask(alone, "test"))
    rows = rows[(trained | alone | genomic) & (rows["n_train"] == n_train)]
    wide = rows.pivot(index=["cell", "replicate"], columns="prior", values="value")
    known = PRIOR in wide and cells and {"trained", *cells} <= set(rows["cell"])
    for reference in (prior for prior in REFERENCES if known and prior in wide):
        closed = CHANGES["closed"](wide[PRIOR], wide[reference]).unstack("cell")
        under = closed[list(cells)].mean(axis=1, skipna=False)
        gains = {
            "gain_at_noise": closed["trained"],
            "gain_at_test_noise": closed.get("test", under * np.nan),
            "gain_under_shifts": under,
            "gain_at_noise_beyond_half": closed["trained"] - under / 2,
        }
        keys: dict[str, Any] = {"against": reference, "prior": PRIOR}
        for name, gain in gains.items():
            yield effect(name, gain, **keys, shift=NOISY.shift, condition="trained")


def matched_effects(errors: pd.DataFrame, n_train: int) -> Rows:
    """Gain from ``n_train`` noisy labels less that from clean ones that leave as large an error.

    ``clean_n`` is the number of clean labels at which a world's network without a prior reaches the
    error that it has from the noisy ones: linear in logarithms between its training sizes, never
    beyond them. The gain there is interpolated alike; worlds without it say nothing of it.
    """
    own = (errors["split"] == "matched") & (errors["cell"] == NOISY.cell)
    noisy = _logs(errors[own & (errors["n_train"] == n_train)], "prior")
    clean = _logs(errors[errors["split"] == "test"], "prior", "n_train")
    if not {"none", PRIOR} <= set(noisy) & set(clean):
        return
    noisy = noisy[["none", PRIOR]].dropna()
    level, matched, there = noisy["none"], {}, {}
    for world, curve in clean[["none", PRIOR]].dropna().groupby("replicate"):
        if world in level.index and len(curve) > 1:
            sizes = curve.index.get_level_values("n_train").to_numpy(float)
            at = matched[world] = size_at(sizes, -curve["none"], -float(level[world]))
            ratio = np.interp(np.log(max(at, 1)), np.log(sizes), curve[PRIOR] - curve["none"])
            there[world] = 1 - np.exp(2 * ratio) if 0 < at < np.inf else np.nan
    if not matched:
        return
    clean_gain = pd.Series(there)
    gain = 1 - np.exp(2 * (noisy[PRIOR] - noisy["none"]))
    keys: dict[str, Any] = {"against": "none", "prior": PRIOR}
    keys |= {"shift": NOISY.shift, "condition": "trained"}
    yield crossing_row("clean_n", pd.Series(matched), **keys)
    yield effect("gain_at_clean_n", clean_gain, **keys)
    yield effect("gain_at_noise_beyond_clean", gain - clean_gain, **keys)


def effects(values: pd.DataFrame, n_train: int, cells: Sequence[str]) -> pd.DataFrame:
    """All contrasts over worlds; ``cells`` are the genomic shifts of C7 and C8.

    Those of errors are of the main network, the last ones of ``n_train`` training elements.
    """
    main = {"data": "simulation", "model": MAIN_MODEL}
    errors = values[(values[["metric", *main]] == ["rmse_f", *main.values()]).all(axis=1)]
    of_one_size = [*line_effects(errors, n_train), *noise_effects(errors, n_train, cells)]
    of_one_size += matched_effects(errors, n_train)
    rows = [
        *prior_effects(values),
        *(main | row for row in size_effects(errors) if row),
        *(main | {"n_train": n_train} | row for row in of_one_size if row),
    ]
    if not rows:
        return pd.DataFrame(columns=["effect", *KIND, *PLACE, *OF_PRIOR, *ENDS, "worlds"])
    table = pd.DataFrame(rows).rename(columns={"n": "worlds"})
    return table.drop(columns=["df", "how"], errors="ignore")


TAIL_DATA: Final = (*GC_DATA, STANDIN)  # the arms that hold something out
# The five shifts of C7 at the severity at which it is judged.
PRIMARY: Final = (
    *(Condition(name, 0.5) for name in ("gc", "motif_density", "pwm_perturbation", "cell_type")),
    REWIRING,
)
TOLD: Final = ("none", PRIOR)  # of learning curves
COMPARED: Final = (*TOLD, "permuted")  # where noise dominates training
CORE: Final = (*TOLD, *PLACEBOS)
HELD_OUT: Final = ASSAY_PRIORS[:3]  # told on arms that hold a GC tail out


class Config(AssayConfig, worlds.WorldConfig):
    """Parameters of notebook 03."""

    experiment: ClassVar[str] = "structural_priors"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {
            **{"severities": (0.5,), "shaped_worlds": 1},
            **{"n_train": 400, "n_validation": 100, "n_calibration": 100, "n_test": 300},
            **{"main_train": 400, "sizes": (100, 200)},
            **{"world_seeds": (0, 1), "epochs": 1, "draws": 100},
            **{"dataset": STANDIN, "standin_size": 600, "assay_epochs": 1, "folds": 3},
            "priors": ("none", "motif_decoy", "permuted", "gc"),
            "shifts": ("gc", "effect_rewiring"),
        },
        "quick": {
            **worlds.QUICK,
            **{"severities": (0.5,), "main_train": 1000, "sizes": (400,)},
            "priors": ("none", PRIOR, "permuted"),
            **SUBSET,
            **{"standin_size": 1500, "assay_epochs": 6},
            "shifts": (*(at.shift for at in PRIMARY), "noise"),
        },
    }

    priors: Annotated[Names, known("prior", PRIORS)] = CORE
    shifts: worlds.ShiftNames = ("all",)
    severities: worlds.Dials = (0.5, 1.0)
    world_seeds: Seeds = tuple(range(100, 110))
    shaped_worlds: int = Field(default=0, ge=0)  # of these, how many have a DNA-shape term too
    # Of the sample of notebook 01, whose networks without a prior serve here too.
    main_train: int = Field(default=8_000, ge=100, le=1_000_000)  # the first of them
    sizes: Sizes = (500, 2_000)  # fewer, for the learning curve
    entry: Literal["late", "narrow", "residual"] = "narrow"  # of features into a network
    side_dropout: float = Field(default=0.3, ge=0, lt=1)  # of the features
    assay_priors: Annotated[Names, known("prior", ASSAY_PRIORS)] = ASSAY_PRIORS
    assay_epochs: int = Field(default=20, ge=1, le=10_000)
    gc_quantile: float = Field(default=0.8, gt=0, lt=1)
    gc_tilts: Numbers = (-0.5, 0.5, 1.0)

    @property
    def assays(self) -> mpra_gc_ood.Config:
        """The settings of notebook 02: networks told nothing, or of motifs, are its first ones."""
        return mpra_gc_ood.Config.like(self, epochs=self.assay_epochs)

    @model_validator(mode="after")
    def _within_the_sample(self) -> Self:
        largest = max(self.main_train, *self.sizes, 0)
        if largest > self.n_train:
            raise ValueError(
                f"main_train and sizes go up to {largest}, n_train is {self.n_train}: networks "
                "train on the first elements of one sample, so raise n_train or lower them"
            )
        return self


def few_conditions(config: Config) -> list[Condition]:
    """In distribution and the five shifts of C7."""
    return worlds.conditions(config.shifts, (), fixed=PRIMARY)


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network of the simulated worlds, with the conditions it is judged under."""
    fixed = (*PRIMARY, NOISY)
    every = worlds.conditions(config.shifts, config.severities, ("", "low"), fixed)
    few, size = few_conditions(config), config.main_train
    others = [n for n in dict.fromkeys(config.sizes) if n != size]
    told, compared = ([p for p in names if p in config.priors] for names in (TOLD, COMPARED))
    jobs: list[tuple[Arm, list[Condition]]] = []
    for w in config.world_seeds:
        jobs += [(Arm(w, MAIN_MODEL, size, prior=prior), every) for prior in config.priors]
        jobs += [(Arm(w, MAIN_MODEL, n, prior=prior), few) for prior in told for n in others]
        if config.n_train > size:  # notebook 01's; on the no-prior line it is the far end
            jobs.append((Arm(w, MAIN_MODEL, config.n_train), few))
        jobs += [(Arm(w, MAIN_MODEL, size, NOISY, prior), [NOISY]) for prior in compared]
        if w in config.world_seeds[: config.shaped_worlds]:
            jobs += [(Arm(w, MAIN_MODEL, size, Condition(), p, True), few) for p in told]
    # World by world: a worker that holds a world's samples judges all of its networks.
    return jobs


def assay_plan(config: Config) -> Iterator[Told]:
    """Every prior on every arm of an assay, the stand-in where the default ones cannot be had.

    Large families train and are not left out: that shift is another experiment's.
    """
    default = GC_DATA[:1] if config.profile == "quick" else GC_DATA
    for data in load_assays(config.dataset, config.standin_size, default, config.elements):
        kinds = ("group", "tilt", *(("tail",) if data.name in TAIL_DATA else ()))
        asked = tuple(kind for kind in kinds if kind in config.assays.arm)
        for arm in replace(config.assays.design, arms=asked).build([data]):
            if arm.kind != "placebo":  # random groups held out serve other experiments
                headline = arm.headline
                told = (prior for prior in config.assay_priors if arm.main or prior in HELD_OUT)
                yield from (Told(headline, prior) for prior in told)


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score."""
    asked = plan(config), priors.network_metrics, config, store, priors.fit_prior
    values = worlds.judge_arms(*asked)["values"]
    # Worlds turn the dial differently to reach one distance.
    values = values.assign(severity=values.pop("dial").round(4), n=config.n_test)
    told = list(assay_plan(config))
    settings, given = config.assays.design.settings, (store, config.where)
    units = [unit for one in told for unit in one.fitting(settings(one.arm)[0], *given)]
    fits = run_fits(units, store, config.where, "assay fits")
    assay_rows, assay_effects = priors.score_told(told, fits, store, config.where, config.draws)
    numbers = ["severity", "oracle", "n"]
    keys = [name for name in values.columns if name not in (*numbers, "value", "replicate")]
    means = over_replicates(values[values["metric"].isin(PUBLISHED)], keys, averaged=numbers)
    means = means.round({"severity": 4}).astype({"n": int})
    rows = pd.concat([means, assay_rows], ignore_index=True).assign(seed=None, by="", bin="")
    cells = [at.cell for at in few_conditions(config)[1:]]
    tables = {"effects": effects(values, config.main_train, cells), "assay_effects": assay_effects}
    marks = {one.arm.data.name: one.arm.data.fingerprint for one in told}
    return Tables(rows, tables, {"anchors": digest()} | marks)
