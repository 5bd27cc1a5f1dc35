"""What do graded shifts with known truth do to accuracy, calibration and coverage?

In: :class:`Config`. Out: :class:`Tables`. A world is the unit of replication: one network per world
and architecture, trained in distribution, is judged under every shift at every severity, beside the
oracle and the baselines. The *frozen oracle*, the true mean and s.d. in distribution, says what any
forecaster calibrated there must lose. Some networks are trained on the shifted law (``matched``):
they say how much of an error is harder data rather than the shift.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.linear_model import LinearRegression

from lib.arrays import FloatArray
from lib.experiments import dose_response as dosing
from lib.experiments import world_measures as measures
from lib.experiments import worlds
from lib.experiments.dose_response import CALIBRATED, LARGE_DROP, OVER_FROZEN, SHIFT
from lib.experiments.worlds import MAIN_MODEL, NOISY, REWIRING, Arm, Condition, judging
from lib.simulator.assay import digest
from lib.simulator.shifts import SHIFTS, dial_table
from lib.statistics.effects import Effect, Rows, against, by_metric, effect, over_replicates
from lib.study.config import Numbers, ParameterError, Seeds, Sizes, Tables
from lib.study.units import Fit, Store, Unit, run_fits

# Arms of the gc shift beside the natural one.
GC_OPTIONS: Final = ("", "low", "neutral")
MILD: Final = Condition("gc", 0.25)  # half an in-distribution s.d. of GC
KEYS: Final = (
    *("data", "split", "shift", "family", "severity", "condition"),
    *("model", "uncertainty", "n_train", "metric"),
)
FEW: Final = {
    **{"models": (MAIN_MODEL,), "other_worlds": 1},
    **{"rewirings": (0.27, 0.64), "gc_tilts": (0.5, 2.0), "noise_shares": (0.5, 0.8)},
}
# Of the full training sample, the least share that a network of the table of fits has.
LEAST = 1 / 15
MATCHED: Final = (
    Effect("rmse_over_matched", "rmse", "ratio"),
    Effect("coverage_drop_over_matched", "picp_90", "drop"),
)
Tilts = Annotated[Numbers, worlds.between(*SHIFTS["gc"].dial)]
NoiseShares = Annotated[Numbers, worlds.between(*SHIFTS["noise"].dial)]


class Config(worlds.WorldConfig):
    """Parameters of notebook 01."""

    experiment: ClassVar[str] = "simulation_shifts"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": worlds.SMOKE | FEW | {"severities": (1.0,), "sizes": (300,)},
        "quick": worlds.QUICK | FEW | {"severities": (1.0,), "sizes": (400,)},
    }

    shifts: worlds.ShiftNames = ("all",)
    severities: worlds.Dials = (0.25, 0.5, 0.75, 1.0)
    models: worlds.ModelNames = ("cnn", "bilstm", "transformer")
    # Judged without refitting: rewiring at these distances after gain (variances of f), GC tilts by
    # these s.d., and noise at test only at these shares of the variance.
    rewirings: worlds.Dials = (0.05, 0.08, 0.16, 0.27, 0.40, 0.52, 0.64, 0.80, 0.88)
    gc_tilts: Tilts = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    noise_shares: NoiseShares = (0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
    world_seeds: Seeds = tuple(range(100, 120))  # of the CNN
    # Of these, how many for each other architecture, for smaller samples of the CNN, and for CNNs
    # trained on the mild GC shift, at the highest noise, or (of the largest of sizes) on a minority
    # of noise-dominated elements.
    other_worlds: int = Field(default=10, ge=1)
    sizes: Sizes = (500, 2_000, 8_000)  # smaller training samples

    @property
    def main(self) -> str:
        """The architecture that is trained in all worlds: the CNN, or else the first."""
        return MAIN_MODEL if MAIN_MODEL in self.models else self.models[0]


def everywhere(config: Config) -> list[Condition]:
    """In distribution, every shift at every severity, and rewiring at its fixed distance.

    The other arms of the GC shift at the highest severity alone.
    """
    every = worlds.conditions(config.shifts, config.severities, GC_OPTIONS, (REWIRING, MILD))
    return [at for at in every if not at.option or at.severity == max(config.severities)]


def _still(conditions: list[Condition]) -> list[Condition]:
    """Conditions on the sequences in distribution: one forecast answers for all of them."""
    return [at for at in conditions if at.sequences == Condition()]


def dosed(config: Config) -> list[Condition]:
    """The doses of the shifts that are run; first in distribution.

    Rewiring by its distance after gain, GC tilts by s.d., noise at test by its share.
    """
    found = [Condition("effect_rewiring", distance=at, part="rewiring") for at in config.rewirings]
    for shift, values in {"gc": config.gc_tilts, "noise": config.noise_shares}.items():
        start, top = SHIFTS[shift].dial
        found += [Condition(shift, (value - start) / (top - start)) for value in values]
    return [Condition(), *(at for at in found if at.shift in config.shifts)]


def plan(config: Config) -> list[tuple[Arm, list[Condition]]]:
    """Every network to train, with the conditions it is judged under."""
    if (top := max(config.sizes, default=0)) >= config.n_train:
        raise ParameterError(f"sizes go up to {top}; below n_train, {config.n_train}, would do")
    seeds, size, every = config.world_seeds, config.n_train, everywhere(config)
    far = 0.0, max(config.severities)
    few = [at for at in every if not at.option and (at.shift == "gc" or at.severity in far)]
    some, arms = seeds[: config.other_worlds], []
    for model in config.models:
        if model == config.main:
            arms += [(Arm(w, model, size), every) for w in seeds]
            arms += [(Arm(w, model, n), _still(every)) for n in config.sizes for w in some]
        else:
            arms += [(Arm(w, model, size), few) for w in some]
    for law in (MILD, NOISY):
        if law.shift in config.shifts and MAIN_MODEL in config.models:
            arms += [(Arm(w, MAIN_MODEL, size, law), [law]) for w in some]
    # Arms of one world side by side share its training sample.
    return sorted(arms, key=lambda job: job[0].world_seed)


def judge_all(config: Config, store: Store) -> dict[str, pd.DataFrame]:
    """Tables of networks, baselines and the frozen oracle."""
    arms, doses = plan(config), dosed(config)
    fits = run_fits([worlds.fit_arm(arm, config) for arm, _ in arms], store, config.where)
    jobs: list[Unit] = []

    def ask(arm: Arm, conditions: list[Condition], *asked: worlds.Measure, **fits: Fit) -> None:
        if conditions:
            jobs.append(judging(arm, conditions, config.parts, asked, fits))

    for (arm, conditions), fit in zip(arms, fits, strict=True):
        usual = (arm.model, arm.size, arm.law) == (config.main, config.n_train, Condition())
        asked = (measures.network_metrics, measures.coverage_by)[: 1 + usual]
        ask(arm, conditions, *asked, model=fit)
        if arm.law == Condition():
            # Smaller samples' networks tell only whether a test in distribution would have told.
            told = [at for at in doses if at.dose in dosing.JUDGED.get(at.shift, (0.0,))]
            own = doses if usual else _still(doses if arm.size == config.n_train else told)
            ask(arm, own, measures.dose_metrics, measures.calibrated_metrics, model=fit)
    every = everywhere(config)
    for world in config.world_seeds:
        arm = Arm(world, "", config.n_train)
        for size in (*config.sizes, config.n_train):
            ask(replace(arm, size=size), [Condition()], measures.baseline_metrics)
        ask(arm, every[1:], measures.severity)
        ask(arm, every, measures.frozen_metrics)
        ask(arm, doses, measures.dose_metrics)
    return worlds.run_judging(jobs, store, config.where)


def tidy_rows(values: pd.DataFrame, measured: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Means over worlds, beside the measured severity."""
    at = ["shift", "severity", "condition"]
    table = over_replicates(values, KEYS, averaged=["oracle", "dial"])
    known = measured.rename(columns={"measured": "severity_measured"})
    table = table.merge(known[[*at, "severity_measured"]], "left", on=at)
    table["severity"] = table.pop("dial").round(4)
    return table.assign(prior="none", seed=None, by="", bin="", n=config.n_test)


def _at(model: Any, shift: Any = "", severity: Any = 0.0, condition: Any = "") -> dict[str, Any]:
    return {"model": model, "shift": shift, "severity": severity, "condition": condition}


def _shifts(networks: pd.DataFrame) -> Rows:
    """Every shifted condition against the same networks in distribution, and against matched."""
    parts = dict(iter(networks.groupby(["split", *_at("")])))
    for (split, *at), part in parts.items():
        keys = _at(*at)
        home = parts["test", *_at(keys["model"]).values()]
        if split == "shifted":
            yield from against(part, home, dosing.shift_effects(keys["model"]), **keys)
            if keys["model"] != measures.FROZEN:
                frozen = parts["shifted", measures.FROZEN, *at[1:]]
                yield from against(part, frozen, OVER_FROZEN, **keys)
            if ("matched", *at) in parts:
                yield from against(part, parts["matched", *at], MATCHED, **keys)
        elif split == "matched" and keys["shift"] == NOISY.shift:
            yield from against(part, home, SHIFT, **keys | {"condition": "trained"})


def beyond_gc(ratio: float, drop: float, gc_ratio: FloatArray, gc_drop: FloatArray) -> float:
    """A shift's coverage drop beyond that of a GC shift of growing severity at equal excess RMSE.

    Where the GC shift never reaches the ratio, its drop is extrapolated in proportion to the
    excess, or taken at its largest where it has no excess.
    """
    order = np.argsort(gc_ratio, kind="stable")
    reached, lost = np.r_[1.0, gc_ratio[order]], np.r_[0.0, gc_drop[order]]
    largest = reached.max()
    if ratio <= largest:
        inside = reached >= 1
        expected = np.interp(ratio, reached[inside], lost[inside])
    else:
        expected = lost[-1] * (ratio - 1) / (largest - 1) if largest > 1 else lost.max()
    return round(drop - float(expected), 12)


def _beyond(networks: pd.DataFrame) -> Rows:
    """Coverage that rewiring costs beyond a GC shift of equal error, world by world."""
    natural = networks["condition"] == ""
    gc = networks[natural & (networks["shift"] == "gc") & (networks["split"] == "shifted")]
    home = dict(iter(networks[natural & (networks["split"] == "test")].groupby("model")))
    for model, rows in networks[networks["condition"] == REWIRING.name].groupby("model"):
        rewired, plain, found = by_metric(rows), by_metric(home[model]), {}
        for world, part in gc[gc["model"] == model].groupby("replicate"):
            dose = by_metric(part, "severity")
            error, covered = plain["rmse"][world], plain["picp_90"][world]
            own = rewired["rmse"][world] / error, covered - rewired["picp_90"][world]
            moved = dose["rmse"].to_numpy() / error, covered - dose["picp_90"].to_numpy()
            found[world] = beyond_gc(*own, *moved)
        keys = _at(model, REWIRING.shift, condition=REWIRING.name)
        yield effect("coverage_drop_beyond_gc", pd.Series(found, dtype=float), **keys)


def fit_table(values: pd.DataFrame, n_train: int) -> pd.DataFrame:
    """A row per network trained in distribution: what a test set shows, what rewiring does.

    Of training samples of at least the share :data:`LEAST` of ``n_train``.
    """
    values = values[(values["model"] != measures.FROZEN) & (values["n_train"] >= LEAST * n_train)]
    home = values[(values["split"] == "test") & (values["condition"] == "")]
    rewired = values[(values["condition"] == REWIRING.name) & (values["metric"] == "picp_90")]
    keys = ["replicate", "model", "n_train"]
    table = home.pivot(index=keys, columns="metric", values="value")[["nll_gaussian", "picp_90"]]
    table["shifted_picp_90"] = rewired.set_index(keys)["value"]
    table["drop"] = table["picp_90"] - table["shifted_picp_90"]
    table = table.dropna().rename_axis(columns=None).reset_index()
    return table.rename(columns={"replicate": "world", "nll_gaussian": "nll"})


def _explained(table: pd.DataFrame) -> float:
    """R² of the drop on NLL and coverage in distribution."""
    given, drop = table[["nll", "picp_90"]].to_numpy(), table["drop"].to_numpy()
    # A draw may hold one world alone, again and again: there is nothing to explain then.
    known = drop.var() > 0
    return float(LinearRegression().fit(given, drop).score(given, drop)) if known else float("nan")


def _shares(table: pd.DataFrame) -> dict[str, float]:
    """Calibrated networks that lose much; R² of the loss, of all and among networks of one kind."""
    hidden = ((table["picp_90"] - 0.9).abs() <= CALIBRATED) & (table["drop"] >= LARGE_DROP)
    numbers = table[["nll", "picp_90", "drop"]]
    alike = numbers - numbers.groupby([table["model"], table["n_train"]]).transform("mean")
    shares = {"explained_share": _explained(numbers), "explained_share_alike": _explained(alike)}
    return {"hidden_share": float(hidden.mean())} | shares


def hidden_effects(table: pd.DataFrame, draws: int) -> Rows:
    """Whether in-distribution evaluation tells which fits will fail: the effects of C5.

    Intervals draw whole worlds; that of a share is never narrower than Clopper and Pearson's over
    fits, as all of them may agree.
    """
    parts = [part for _, part in table.groupby("world", sort=False)]
    if len(parts) < 3:
        return
    rng = np.random.default_rng(0)
    picked = (rng.integers(0, len(parts), len(parts)) for _ in range(draws))
    drawn = pd.DataFrame([_shares(pd.concat([parts[i] for i in places])) for places in picked])
    keys = _at("all", REWIRING.shift, condition=REWIRING.name)
    yield from dosing.share_rows(_shares(table), drawn, len(table), **keys)


def effects(values: pd.DataFrame, n_train: int, draws: int) -> pd.DataFrame:
    """Every contrast that claims are judged on, and the same for the other shifts and models."""
    full = values[values["n_train"] == n_train]
    networks = full[~full["model"].isin(measures.BASELINES)]
    accuracy = dosing.accuracy(full[(full["split"] == "test") & (full["condition"] == "")])
    rows = [
        *(effect(name, found, **_at(model)) for (model, name), found in accuracy.items()),
        *_shifts(networks),
        *_beyond(networks[networks["model"] != measures.FROZEN]),
        *hidden_effects(fit_table(values, n_train), draws),
    ]
    return pd.DataFrame([row for row in rows if row]).assign(data="simulation")


def run(config: Config, store: Store) -> Tables:
    """Fit, forecast, score; tables are means over worlds."""
    judged = judge_all(config, store)
    values, places = judged["values"], ["shift", "family", "severity", "condition"]
    severities = judged["severities"].groupby(places, sort=False).mean(numeric_only=True)
    severities = severities.drop(columns=["dial", "n_train", "replicate"]).reset_index()
    deciles = ["split", *places[:1], *places[2:], "by", "bin"]
    covered = over_replicates(judged["coverage_by"], deciles, averaged=["elements"])
    doses, crossings = dosing.tables(judged["doses"], judged["calibrated"], config.draws)
    sizes, reached = dosing.size_rows(values)
    asked = NOISY.shift in config.shifts and MAIN_MODEL in config.models
    noisy = config.world_seeds[: config.other_worlds] if asked else ()
    some = [Arm(w, MAIN_MODEL, max(config.sizes, default=config.n_train)) for w in noisy]
    tables = {
        "mixed": measures.judge_mixed(some, config, store),
        "doses": doses,
        "crossings": pd.concat([crossings, pd.DataFrame(reached)], ignore_index=True),
        "sizes": pd.DataFrame(sizes),
        "effects": effects(values, config.n_train, config.draws),
        "severities": severities,
        "dials": dial_table(),
        "coverage_by": covered.round({"elements": 0}),
        "fits": fit_table(values, config.n_train),
    }
    rows = tidy_rows(values, severities, config)
    return Tables(rows, tables, {"anchors": digest()})
