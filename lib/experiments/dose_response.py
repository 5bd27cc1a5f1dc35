"""From which dose on does a shift break a network? Curves, crossings, and what would have told.

In: networks and the frozen oracle of every world, judged without refitting at many doses of three
shifts (long tables of :mod:`lib.experiments.world_measures`). Out: tables of effects per dose and
of doses at which margins are crossed. Doses are measured: rewiring after offset and gain are taken
out, as of real genotypes.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from lib.arrays import FloatArray
from lib.experiments.world_measures import BASELINES, FROZEN
from lib.experiments.worlds import Condition
from lib.metrics.columns import spearman_r
from lib.metrics.resampling import percentiles
from lib.simulator.shifts import SHIFTS
from lib.statistics import doses
from lib.statistics.effects import LEVELS, Effect, against, by_metric, effect

# Distance of real genotypes from the wild type on rho, in variances of f, after offset, gain and
# measured noise: notebook 05's decomposition (lib.statistics.paired) of Shepherdson et al. 2024.
# A rewiring that keeps Var f, as the simulator's does, stays below 1.
GENOTYPES: Final = {"Rhet": 0.08, "Ehet": 0.27, "Rhom": 0.64, "knock-out": 0.80, "E168d2": 1.63}
CALIBRATED, LARGE_DROP = 0.03, 0.15  # of C5: off nominal by at most; coverage lost
# Doses of C3 (the median genotype) and of C4 at which C5 is judged.
JUDGED: Final = {"effect_rewiring": (0.64,), "noise": (0.5, 0.8)}
SHIFT: Final = (
    Effect("rmse_ratio", "rmse", "ratio"),
    Effect("rmse_f_ratio", "rmse_f", "ratio"),
    Effect("coverage_drop", "picp_90", "drop"),
    Effect("zms", "zms"),
    Effect("picp_90", "picp_90"),
)
# The excess over what any forecaster that is calibrated in distribution must lose.
OVER_FROZEN: Final = (
    Effect("rmse_over_frozen", "rmse", "ratio"),
    Effect("zms_over_frozen", "zms", "ratio"),
    Effect("coverage_drop_over_frozen", "picp_90", "drop"),
)
KIND: Final = ["model", "n_train"]
AT: Final = [*KIND, "shift", "dose"]
# Beside the usual levels that of one of six parts, for intervals that are not Student's t.
ALL_LEVELS: Final = dict(LEVELS) | {"_sixth": 1 - 0.05 / 6}


class Margins(NamedTuple):
    """The range that each response keeps to, and which of their doses counts for the claim."""

    name: str
    whole: str  # of pandas: max where all must be reached, min where one is enough
    ranges: dict[str, tuple[float, float]]


_BROKEN = Margins(
    "crossing",
    "max",
    {"rmse_ratio": (-np.inf, 1.25), "zms": (-np.inf, 2.0), "coverage_drop": (-np.inf, 0.15)},
)
_MILD = Margins(
    "leaving",
    "min",
    {"rmse_ratio": (-np.inf, 1.10), "zms": (0.8, 1.25), "picp_90": (0.85, 0.95)},
)
RULES: Final = {"effect_rewiring": _BROKEN, "noise": _BROKEN, "gc": _MILD}


def dosed(
    rewirings: tuple[float, ...], tilts: tuple[float, ...], shares: tuple[float, ...]
) -> list[Condition]:
    """Rewiring by its distance after gain, GC tilts by s.d., noise at test by its share."""
    found = [Condition("effect_rewiring", distance=at, part="rewiring") for at in rewirings]
    for shift, values in {"gc": tilts, "noise": shares}.items():
        start, top = SHIFTS[shift].dial
        found += [Condition(shift, (value - start) / (top - start)) for value in values]
    return found


def shift_effects(model: str) -> list[Effect]:
    """Those of :data:`SHIFT` but, for the frozen oracle, a ratio to its error 0 against f."""
    return [each for each in SHIFT if model != FROZEN or each.metric != "rmse_f"]


def curves(judged: pd.DataFrame) -> pd.DataFrame:
    """Responses per network and dose: a row per world, kind, shift and dose, in distribution too.

    Columns of :data:`SHIFT` and ``home_*``, the same network's metrics in distribution. The dose in
    distribution is 0; of noise it is the share that is there already.
    """
    keys = [*AT, "replicate", "measured"]
    wide = judged.pivot(index=keys, columns="metric", values="value").reset_index()
    home = wide[wide["shift"] == ""]
    starts = [
        home.assign(shift=shift, measured=home["measured"] if shift == "noise" else 0.0)
        for shift in wide["shift"].unique()
        if shift
    ]
    known = home.drop(columns=["shift", "dose", "measured"])
    known = known.rename(columns={m: f"home_{m}" for m in judged["metric"].unique()})
    table = pd.concat([wide[wide["shift"] != ""], *starts]).merge(known, on=[*KIND, "replicate"])
    return table.assign(
        rmse_ratio=table["rmse"] / table["home_rmse"],
        coverage_drop=table["home_picp_90"] - table["picp_90"],
    )


def crossing_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """At which dose each response leaves its range, world by world, then over worlds.

    Of the largest training sample: smaller ones are judged at too few doses.
    """
    full = table[table["n_train"] == table["n_train"].max()]
    for (model, n_train, shift), part in full.groupby([*KIND, "shift"], sort=False):
        rule, found, uneven = RULES[shift], {}, {}
        for world, own in part.groupby("replicate"):
            at = own["measured"].to_numpy()
            if len(at) < 2:
                continue
            responses = {name: own[name].to_numpy() for name in rule.ranges}
            found[world] = {
                name: doses.leaving(at, responses[name], *ends)
                for name, ends in rule.ranges.items()
            }
            uneven[world] = {name: doses.unevenness(at, y) for name, y in responses.items()}
        each = pd.DataFrame(found).T
        if each.empty:
            continue
        spread = pd.DataFrame(uneven).T.max()
        keys = {"shift": shift, "model": model, "n_train": n_train}
        whole = each.agg(rule.whole, axis=1)
        yield crossing_row(rule.name, whole, **keys)
        for name in each:
            row = crossing_row(f"{rule.name}_{name}", each[name], **keys)
            yield row | {"uneven": spread[str(name)]}


def crossing_row(name: str, found: pd.Series, **keys: Any) -> dict[str, Any]:
    """One row of the table of crossings: a dose per world in, see :class:`doses.Crossing`."""
    row: dict[str, Any] = {"effect": name, **keys}
    for ending, level in ALL_LEVELS.items():
        at = doses.over_replicates(found.to_numpy(), level)
        row |= {f"lower{ending}": at.lower, f"upper{ending}": at.upper}
    df = at.n - 1 if at.how == "t" else np.nan
    return row | {"df": df} | {key: getattr(at, key) for key in ("value", *at._fields[3:])}


def dose_rows(judged: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Effects at every dose against the same networks in distribution, and the frozen oracle."""
    parts = dict(iter(judged.groupby(AT, sort=False)))
    frozen = {tuple(at): part for (model, _, *at), part in parts.items() if model == FROZEN}
    for (model, n_train, shift, dose), part in parts.items():
        keys: dict[str, Any] = {"shift": shift, "dose": dose, "model": model, "n_train": n_train}
        keys["measured"] = part["measured"].mean() if shift else 0.0
        if not shift:
            yield effect("picp_90", by_metric(part)["picp_90"], **keys)
            continue
        yield from against(part, parts[model, n_train, "", 0.0], shift_effects(str(model)), **keys)
        if model != FROZEN:
            yield from against(part, frozen[shift, dose], OVER_FROZEN, **keys)


def fewer_rows(table: pd.DataFrame, calibrated: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The excess over a network with fewer labels that errs as much, calibrated in distribution.

    Between training sizes its values are interpolated in the RMSE; worlds where no size errs as
    much are counted in ``unmatched``.
    """
    keys = [*KIND, "replicate"]
    rivals = calibrated.pivot(index=keys, columns="metric", values="value").reset_index()
    rivals["labels"] = np.log(rivals["n_train"])
    full = table[(table["n_train"] == table["n_train"].max()) & (table["model"] != FROZEN)]
    for at, part in full[full["dose"] > 0].groupby(AT, sort=False):
        own = part.set_index("replicate")
        found = {}
        for world, rmse in own["rmse"].items():
            sizes = rivals[(rivals["model"] == at[0]) & (rivals["replicate"] == world)]
            sizes = sizes.sort_values("rmse")
            found[world] = {
                name: np.interp(rmse, sizes["rmse"], sizes[name], left=np.nan, right=np.nan)
                for name in ("picp_90", "zms", "labels")
            }
        rival = pd.DataFrame(found).T
        made = {
            "coverage_drop_over_fewer": (rival["picp_90"] - own["picp_90"], False),
            "zms_over_fewer": (np.log(own["zms"]) - np.log(rival["zms"]), True),
            "labels_matched": (rival["labels"], True),
        }
        named = dict(zip(AT, at, strict=True))
        named |= {"measured": own["measured"].mean(), "unmatched": int(rival["zms"].isna().sum())}
        for name, (values, log) in made.items():
            # Where no world has a match, a row says so.
            none = {"effect": name, **named, "value": np.nan, "n": 0}
            yield effect(name, values, log=log, **named) or none


def regret_share(score: FloatArray, gain: FloatArray) -> float:
    """What choosing the one of two with the lower score loses, over what chance loses.

    Mean over all pairs: 0 where the choice is always the one of larger gain, 1 for chance, 2 where
    it is always wrong; NaN where nothing differs. Ties are chance.

    Examples
    --------
    >>> regret_share(np.array([1.0, 2.0, 3.0]), np.array([0.9, 0.8, 0.6]))
    0.0
    """
    lost = gain[:, None] - gain[None, :]
    chosen = np.sign(score[:, None] - score[None, :])  # 1 where the second of a pair is chosen
    total = np.abs(lost).sum()
    return float(1 + (chosen * lost).sum() / total) if total > 0 else float("nan")


def _told(part: pd.DataFrame) -> dict[str, float]:
    nll, home, away = (
        part[name].to_numpy() for name in ("home_nll_gaussian", "home_picp_90", "picp_90")
    )
    return {
        "rank_nll": spearman_r(nll, away),
        "rank_picp_90": spearman_r(home, away),
        "regret_share": regret_share(nll, away),
    }


def telling_rows(table: pd.DataFrame, draws: int) -> Iterator[dict[str, Any]]:
    """Whether evaluation in distribution tells what a fit will lose, among fits of one kind.

    ``both_share``: calibrated in distribution and a large drop, exact interval over worlds, one fit
    each. The others: rank correlation of NLL and of coverage in distribution with shifted coverage,
    and :func:`regret_share` of choosing by NLL; intervals draw whole worlds.
    """
    rng = np.random.default_rng(0)
    for at, part in table[table["model"] != FROZEN].groupby(AT, sort=False):
        if at[3] not in JUDGED.get(str(at[2]), ()) or len(part) < 3:
            continue
        named = dict(zip(AT, at, strict=True)) | {"measured": part["measured"].mean()}
        calm = (part["home_picp_90"] - 0.9).abs() <= CALIBRATED
        both = calm & (part["coverage_drop"] >= LARGE_DROP)
        exact = binomtest(int(both.sum()), len(part))
        drawn = pd.DataFrame(
            [_told(part.iloc[rng.integers(0, len(part), len(part))]) for _ in range(draws)]
        )
        row: dict[str, Any] = {"effect": "both_share", **named, "value": both.mean()}
        rows = [row, *({"effect": n, **named, "value": v} for n, v in _told(part).items())]
        for row in rows:
            for ending, level in ALL_LEVELS.items():
                if row["effect"] == "both_share":
                    low, high = exact.proportion_ci(level, "exact")
                else:
                    low, high = percentiles(drawn[row["effect"]].dropna().to_numpy(), level)
                row |= {f"lower{ending}": float(low), f"upper{ending}": float(high)}
            yield row | {"n": len(part)}


def accuracy(home: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """By model and effect, how near each network comes to f, and how far above the baselines."""
    r2 = home[home["metric"] == "r2_f"].pivot(index="replicate", columns="model", values="value")
    found = {}
    for model in r2.columns.difference([*BASELINES, FROZEN]):
        # The oracle's forecast is f itself here: its R² against f is 1.
        found[model, "r2_share"] = r2[model]
        for baseline in ("kmer_ridge", "occupancy_linear"):
            found[model, f"r2_above_{baseline}"] = r2[model] - r2[baseline]
    return found


def size_rows(values: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """C1 at every training size, and from which size on a network is above the linear model."""
    home = values[(values["split"] == "test") & (values["condition"] == "")]
    curve = {n: accuracy(part) for n, part in home.groupby("n_train")}
    rows = [
        effect(name, found, model=model, n_train=n)
        for n, all_found in curve.items()
        for (model, name), found in all_found.items()
    ]
    above = {
        (n, world, model): value
        for n, all_found in curve.items()
        for (model, name), found in all_found.items()
        if name == "r2_above_occupancy_linear"
        for world, value in found.dropna().items()
    }
    table = pd.Series(above).rename_axis(["n", "world", "model"]).rename("r2").reset_index()
    crossed = []
    for model, part in table.groupby("model"):
        own = [curve for _, curve in part.groupby("world") if len(curve) > 1]
        # Along the logarithm; 0 where the smallest size is above.
        logs = np.array([doses.crossing(np.log(each["n"]), each["r2"], 0.0) for each in own])
        sizes = pd.Series(np.where(logs > 0, np.exp(logs), 0.0))
        if len(sizes):
            crossed.append(crossing_row("size_above_occupancy_linear", sizes, model=model))
    return rows, crossed


def tables(
    judged: pd.DataFrame, calibrated: pd.DataFrame, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects at every dose, and the doses at which margins are crossed."""
    table = curves(judged)
    rows = [*dose_rows(judged), *fewer_rows(table, calibrated), *telling_rows(table, draws)]
    found, crossed = pd.DataFrame(rows), pd.DataFrame([*crossing_rows(table)])
    return found.assign(data="simulation"), crossed.assign(data="simulation")
