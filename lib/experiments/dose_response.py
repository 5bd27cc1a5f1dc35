"""From which dose on does a shift break a network? Curves, crossings, and what would have told.

In: networks and the frozen oracle of every world, judged without refitting at many doses of three
shifts (long tables of :mod:`lib.experiments.world_measures`). Out: tables of effects per dose and
of doses at which margins are crossed. Doses are measured: rewiring after offset and gain are taken
out, as of real genotypes.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from lib.arrays import FloatArray
from lib.experiments.world_measures import BASELINES, FROZEN
from lib.metrics.columns import spearman_r
from lib.metrics.resampling import percentiles
from lib.statistics import doses
from lib.statistics.effects import Effect, Rows, against, by_metric, effect

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
LEVELS: Final = {"": 0.95, "_sixth": 1 - 0.05 / 6}
ABOVE: Final = "r2_above_occupancy_linear"


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
    "leaving", "min", {"rmse_ratio": (-np.inf, 1.10), "zms": (0.8, 1.25), "picp_90": (0.85, 0.95)}
)
RULES: Final = {"effect_rewiring": _BROKEN, "noise": _BROKEN, "gc": _MILD}


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


def crossing_rows(table: pd.DataFrame) -> Rows:
    """At which dose each response leaves its range, world by world, then over worlds.

    Of the largest training sample: smaller ones are judged at too few doses.
    """
    full = table[table["n_train"] == table["n_train"].max()]
    for (model, n_train, shift), part in full.groupby([*KIND, "shift"], sort=False):
        rule = RULES[shift]
        found = {
            world: {
                name: doses.leaving(own["measured"], own[name], *ends)
                for name, ends in rule.ranges.items()
            }
            for world, own in part.groupby("replicate")
            if len(own) > 1
        }
        each = pd.DataFrame(found).T
        if len(each):
            keys = {"shift": shift, "model": model, "n_train": n_train}
            yield crossing_row(rule.name, each.agg(rule.whole, axis=1), **keys)
            for name in each:
                yield crossing_row(f"{rule.name}_{name}", each[name], **keys)


def crossing_row(name: str, found: pd.Series, **keys: Any) -> dict[str, Any]:
    """One row of the table of crossings: a dose per world in, see :class:`doses.Crossing`."""
    row: dict[str, Any] = {"effect": name, **keys}
    for ending, level in LEVELS.items():
        at = doses.over_replicates(found.to_numpy(), level)
        row |= {f"lower{ending}": at.lower, f"upper{ending}": at.upper}
    df = at.n - 1 if at.how == "t" else np.nan
    return row | {"df": df} | {key: getattr(at, key) for key in ("value", *at._fields[3:])}


def dose_rows(judged: pd.DataFrame) -> Rows:
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


def fewer_rows(table: pd.DataFrame, calibrated: pd.DataFrame) -> Rows:
    """The excess over a network with fewer labels that errs as much, calibrated in distribution.

    Between training sizes its values are interpolated in the RMSE; worlds where no size errs as
    much say nothing.
    """
    keys = [*KIND, "replicate"]
    rivals = calibrated.pivot(index=keys, columns="metric", values="value").reset_index()
    full = table[(table["n_train"] == table["n_train"].max()) & (table["model"] != FROZEN)]
    for at, part in full[full["dose"] > 0].groupby(AT, sort=False):
        own = part.set_index("replicate")
        found = {}
        for world, rmse in own["rmse"].items():
            sizes = rivals[(rivals["model"] == at[0]) & (rivals["replicate"] == world)]
            sizes = sizes.sort_values("rmse")
            found[world] = {
                name: np.interp(rmse, sizes["rmse"], sizes[name], left=np.nan, right=np.nan)
                for name in ("picp_90", "zms")
            }
        rival = pd.DataFrame(found).T
        made = {
            "coverage_drop_over_fewer": (rival["picp_90"] - own["picp_90"], False),
            "zms_over_fewer": (np.log(own["zms"]) - np.log(rival["zms"]), True),
        }
        named = dict(zip(AT, at, strict=True)) | {"measured": own["measured"].mean()}
        for name, (values, log) in made.items():
            # Where no world has a match, a row says so.
            none = {"effect": name, **named, "value": np.nan, "n": 0}
            yield effect(name, values, log=log, **named) or none


def regret_share(score: FloatArray, gain: FloatArray) -> float:
    """What choosing the one of two with the lower score loses, over what chance loses.

    Mean over all pairs: 0 where the choice is always the one of larger gain, 1 for chance, 2 where
    it is always wrong; NaN where nothing differs. Ties are chance.
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


def telling_rows(table: pd.DataFrame, draws: int) -> Rows:
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
        told = {"both_share": (calm & (part["coverage_drop"] >= LARGE_DROP)).mean(), **_told(part)}
        drawn = pd.DataFrame(
            [_told(part.iloc[rng.integers(0, len(part), len(part))]) for _ in range(draws)]
        )
        yield from share_rows(told, drawn, len(part), **named)


def share_rows(found: Mapping[str, float], drawn: pd.DataFrame, n: int, **keys: Any) -> Rows:
    """Rows of values with percentile intervals of those drawn; the first is a share of ``n`` fits.

    Its interval is Clopper and Pearson's, or wider where it was drawn too: all fits may agree.
    """
    for name, value in found.items():
        row: dict[str, Any] = {"effect": name, **keys, "value": value, "n": n}
        for ending, level in LEVELS.items():
            ends = [percentiles(drawn[name].to_numpy(), level)] if name in drawn else []
            if name == next(iter(found)):
                ends.append(binomtest(round(value * n), n).proportion_ci(level, "exact"))
            low, high = zip(*ends, strict=True)
            row |= {f"lower{ending}": float(min(low)), f"upper{ending}": float(max(high))}
        yield row


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
    found: dict[Any, pd.Series] = {}
    for n, part in home.groupby("n_train"):
        found |= {(n, *named): values for named, values in accuracy(part).items()}
    rows = [effect(name, own, model=m, n_train=n) for (n, m, name), own in found.items()]
    crossed = []
    for model in sorted({model for _, model, _ in found}):
        above = {n: own for (n, m, name), own in found.items() if (m, name) == (model, ABOVE)}
        worlds = (own.dropna() for _, own in pd.DataFrame(above).iterrows())
        sizes = [size_at(own.index, own, 0.0) for own in worlds if len(own) > 1]
        if sizes:
            name = "size_above_occupancy_linear"
            crossed.append(
                crossing_row(name, pd.Series(sizes), model=model, n_train=np.nan, shift="")
            )
    return rows, crossed


def size_at(sizes: ArrayLike, values: ArrayLike, level: float) -> float:
    """The size at which ``values`` that rise with it reach a level, linear in its logarithm.

    0 where the smallest is above, infinite where none is.
    """
    at = doses.crossing(np.log(sizes), values, level)
    return float(np.exp(at)) if at > 0 else 0.0


def tables(
    judged: pd.DataFrame, calibrated: pd.DataFrame, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects at every dose, and the doses at which margins are crossed."""
    table = curves(judged)
    rows = [*dose_rows(judged), *fewer_rows(table, calibrated), *telling_rows(table, draws)]
    found, crossed = pd.DataFrame(rows), pd.DataFrame([*crossing_rows(table)])
    return found.assign(data="simulation"), crossed.assign(data="simulation")
