"""Networks of the real shifts judged on what they are asked about, and what is made of it.

In: fitted networks, whose forecasts of all folds are stitched; and ``sealed.csv``, the changes of
coverage, error and calibration that the simulator said each real shift would bring, written once
from severities alone, before any network was judged under a shift. Out: per network the measured
scores of every forecast, and long tables: what the measured noise explains of the errors
(``noise``), coverage under a paired shift after each correction (``ladder``), and what ``few_shot``
with ``k=`` makes of a forecast: a line and a scale learned from so many labelled elements
(``mitigation``); of all together tidy rows, and the tables that the notebook draws.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import PermutationMethod, pearsonr

from lib.arrays import FloatArray, ranks
from lib.experiments.assays import FittedArm, scaled
from lib.experiments.forecasters import BASELINES, PARTNER
from lib.experiments.repairs import PART, Budget, averages, labelled
from lib.experiments.scoring import Measured, Scored, contrast, joined, score
from lib.experiments.twins.assays import HOME
from lib.experiments.twins.networks import MODEL, Asked, Network, RealCondition
from lib.metrics.columns import metric, spearman_r
from lib.statistics.paired import decompose, forecast_ladder, paired_assay

# Networks that stand beside the baselines on the same split; on the GC arms notebook 02 has them.
WITH_BASELINES = ("retina", "batch", "design", "plant")
METRICS = ("rmse", "crps_gaussian", "crps_skill", "zms", "picp_90", "mpiw_90", "pearson_r", "aurc")
MOST_DRAWS = 300  # of intervals but those of the scores
FEWEST_GROUPS = 20  # a smaller part is not judged
REPAIR_METRICS = ("picp_90", "mpiw_90", "within_tolerance")
# Quantities of the noise, by their names in a decomposition.
NOISE = {
    "reliability_b": "reliability",
    "pearson_r_deattenuated": "pearson_r_deattenuated",
    "share_noise": "noise_share",
}
TOLERANCE = 0.03  # of coverage, within which it counts as restored


class Judged(NamedTuple):
    """One network: scores of its forecasts, and tables ``noise, ladder, mitigation``."""

    measured: list[Measured]
    tables: dict[str, pd.DataFrame]


def has_baselines(network: Network) -> bool:
    """Whether simple models stand beside it."""
    return network.kind in WITH_BASELINES or network.condition == " ".join(HOME)


def _forecasts(
    fitted: FittedArm, together: FloatArray, by_scale: FloatArray, simple: Mapping[str, FloatArray]
) -> Iterator[tuple[dict[str, Any], FloatArray, int]]:
    """Every forecast of a network, and how many fits it averages."""
    members = len(fitted.members)
    if fitted.uncertainty == "ensemble":
        for seed, member in enumerate(fitted.members):
            yield {"uncertainty": "single", "seed": seed}, member, 1
    yield {"uncertainty": fitted.uncertainty}, together, members
    if fitted.arm.kind == "gc":
        return  # notebook 02 has the rest
    yield {"uncertainty": "std_scaling"}, by_scale, members
    yield {"uncertainty": "constant_sigma"}, scaled(fitted.arm, together)[1], members
    for name, forecast in simple.items():
        yield {"model": name, "uncertainty": "single"}, forecast, 0
        if name not in BASELINES:
            yield {"model": name, "uncertainty": "std_scaling"}, scaled(fitted.arm, forecast)[0], 0


def _noise(network: Network, asked: Asked, forecast: FloatArray, draws: int) -> pd.DataFrame:
    """What measured noise explains: a forecast is as a measurement without noise beside another."""
    if asked.noise is None:
        return pd.DataFrame()
    mean, fold = asked.table(forecast)["mean"].to_numpy(), network.tested[asked.rows]
    pair = paired_assay(mean, asked.target, 0 * mean, asked.noise, asked.group, fold=fold)
    found = decompose(pair, np.random.default_rng(0), draws=draws)
    # Libraries have replicates; of the genotypes the spread between barcodes is known.
    source = "replicates" if network.data.noise_std is not None else "barcodes"
    found = found.assign(**asked.keys, errors=source, quantity=found["quantity"].map(NOISE))
    return found[found["quantity"].notna()]


def _ladder(asked: Asked, by_scale: FloatArray, draws: int) -> pd.DataFrame:
    """Under another genotype or promoter, by forecasts with the std scaled on calibration parts.

    What a rung closes is then shift and not ordinary overconfidence.
    """
    if asked.pair is None:
        return pd.DataFrame()
    mean, std = by_scale[:, asked.rows]
    table = forecast_ladder(asked.pair, mean, std, np.random.default_rng(0), draws=draws)
    return table.assign(**asked.keys)


def _mitigation(
    network: Network, asked: Asked, forecast: FloatArray, budget: Budget, draws: int
) -> pd.DataFrame:
    """What a few labels of a shifted part, each of another group, make of the rest.

    Of GC shifts not the tilts, of a promoter the wild type alone, and no choice of labels. Labels
    are of elements of all folds; intervals take what was learned from them as given.
    """
    name, choice = RealCondition.parse(asked.condition)
    beside = choice or asked.shift == "gc_tilt" or (asked.shift == "promoter" and " " in name)
    found = {}
    if asked.split == "shifted" and not beside:
        found = labelled(asked.table(forecast), budget, np.random.default_rng([0, 3]))
    if not found:
        return pd.DataFrame()
    table = averages(found, network.plan.take(asked.rows), draws)
    few = table["metric"].isin(REPAIR_METRICS) & (table["uncertainty"] == "few_shot")
    return table[few].assign(**asked.keys)


def judge(
    fitted: FittedArm, simple: Mapping[str, FloatArray], budget: Budget, draws: int
) -> Judged:
    """One network on all its parts; ``simple`` are other forecasters on its splits, by name."""
    network, fewer = fitted.arm, min(draws, MOST_DRAWS)
    assert isinstance(network, Network)
    together = np.stack(fitted.forecast[:2])
    by_scale = scaled(network, together)[0]
    made = [
        (keys, network.stitched(forecast), members)
        for keys, forecast, members in _forecasts(fitted, together, by_scale, simple)
    ]
    together, by_scale = network.stitched(together), network.stitched(by_scale)
    train = np.concatenate([network.data.activity[split["train"]] for split in network.splits])
    climatology = float(train.mean()), float(train.std())
    own = {"seed": None, "model": MODEL, "prior": "none"}
    measured: list[Measured] = []
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in ("noise", "ladder", "mitigation")}
    for part in network.asked:
        if len(np.unique(part.group)) < FEWEST_GROUPS:
            continue
        plan = network.plan.take(part.rows)
        usual = climatology if part.less is None else None  # of no difference
        items = [
            Scored(own | part.keys | keys, part.table(forecast), plan, usual, members=members)
            for keys, forecast, members in made
        ]
        measured += [score(item, draws) for item in items]
        found["noise"].append(_noise(network, part, together, fewer))
        found["ladder"].append(_ladder(part, by_scale, fewer))
        found["mitigation"].append(_mitigation(network, part, together, budget, fewer))
    return Judged(measured, {name: pd.concat(tables) for name, tables in found.items()})


# Names of the sealed forecasts by the metric that they speak of, of which effects are made.
OBSERVED: Final = {
    **{"picp_90": "coverage_drop", "zms": "zms_ratio", "rmse": "rmse_ratio"},
    **{"crps_gaussian": "crps_ratio", "aurc": "aurc_ratio"},
}
SCORES: Final = ["crps", "crps_no_change", "crps_climatology", "inside", "beyond"]
DRAWS: Final = 10_000  # permutations of the pairing of forecasts with observed changes
TOLD: Final = {
    "ladder": ("rung", "metric"),
    "noise": ("errors", "quantity"),
    "mitigation": ("uncertainty", "variant", "metric"),
}


def publishable(scored: pd.DataFrame, sealed: pd.DataFrame) -> pd.DataFrame:
    """Rows but those of single seeds, with the severity of their shift.

    Their own, or that sealed; 0 without a shift.
    """
    rows = scored[scored["metric"].isin(METRICS) & scored["seed"].isna()].reset_index(drop=True)
    by = sealed.groupby(["shift", "condition"])["severity"].first()
    names = [RealCondition.parse(text).name for text in rows["condition"]]
    found = by.reindex(pd.MultiIndex.from_arrays([rows["shift"], names])).to_numpy(float)
    known = rows["severity"].fillna(pd.Series(found, rows.index)).round(4)
    known = known.mask(rows["split"].isin(["test", "inside"]), 0.0)
    return rows.drop(columns="variance").assign(severity=known)


def _by_part(measured: Sequence[Measured]) -> dict[tuple[Any, ...], Measured]:
    """Forecasts by model, uncertainty and part; of several seeds the mean of their values."""
    found: dict[tuple[Any, ...], list[Measured]] = {}
    names = ("model", "uncertainty", "data", "split", "shift", "condition")
    for each in measured:
        found.setdefault(tuple(each.keys[name] for name in names), []).append(each)
    means = {}
    for key, same in found.items():
        drawn = np.mean([each.drawn for each in same], axis=0)
        members = sum(each.members for each in same)
        means[key] = same[0]._replace(drawn=drawn, members=members)
    return means


def effects(measured: Sequence[Measured], between: pd.Series) -> pd.DataFrame:
    """What each shift changes, paired by group: errors and widths as ratios, else differences.

    ``against`` is ``reference`` (the same kind of measurement without the shift) or ``matched`` (a
    network trained on the shifted law, on the same labels); ``between`` is the variance of refits.
    """
    parts = _by_part(measured)
    tables = []
    for (model, uncertainty, data, split, shift, condition), one in parts.items():
        if split != "shifted":
            continue
        # The network that was trained on the other tissue is one of its data.
        target = PARTNER.get(data, data) if shift == "assay" else data
        against = {
            "reference": (data, *RealCondition.parse(condition).reference(shift)),
            "matched": (target, "matched", shift, condition),
        }
        keys = {"shift": shift, "condition": condition, "family": one.keys["family"]}
        keys |= {"data": data, "model": model, "uncertainty": uncertainty}
        for name, place in against.items():
            if other := parts.get((model, uncertainty, *place)):
                tables.append(contrast(one, other, between, against=name, **keys))
    names = ("shift", "condition", "family", "data", "model", "uncertainty", "against")
    found = joined(tables, names)
    return found[found["metric"].isin(OBSERVED)].reset_index(drop=True)


def observed(effects: pd.DataFrame) -> pd.DataFrame:
    """What the sealed forecasts of one network speak of: ``observed``, with its interval."""
    one = (effects["model"] == MODEL) & (effects["uncertainty"] == "single")
    rows = effects[one & (effects["against"] == "reference") & effects["metric"].isin(OBSERVED)]
    found = rows[["shift", "condition"]].assign(metric=rows["metric"].map(OBSERVED))
    drop = found["metric"] == "coverage_drop"
    turned = {"value": "value", "lower": "upper", "upper": "lower"}
    for end, other in turned.items():
        name = f"observed_{end}".removesuffix("_value")
        found[name] = rows[end].where(~drop, -rows[other])
    return found


def score_sealed(sealed: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Every sealed forecast beside the change, where it is known, with its CRPS.

    ``inside``: whether the 95 % interval holds the change. Two alternatives need no simulator: no
    change, with the same s.d., and climatology, mean and s.d. of all forecasts of the metric.
    """
    table = sealed.merge(observed, on=["shift", "condition", "metric"], how="inner")
    found = table.groupby(["metric", "axis"], sort=False)
    spread = found["forecast"].transform("std", ddof=0)
    nothing = (table["metric"] != "coverage_drop").astype(float)  # of a ratio
    alternatives = {
        "crps": (table["forecast"], table["std"]),
        "crps_no_change": (nothing, table["std"]),
        "crps_climatology": (
            found["forecast"].transform("mean"),
            spread.clip(lower=found["std"].transform("min")),
        ),
    }
    for name, given in alternatives.items():
        each = zip(*given, table["observed"], strict=True)
        table[name] = [metric("crps_gaussian", [m], [y], [s]) for m, s, y in each]
    return table.assign(inside=table["observed"].between(table["lower"], table["upper"]))


def sealed_summary(scored: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Scores over shifts and the agreement of the orders; descriptive, as shifts are few.

    One row per ``metric, axis`` and ``left_out`` (a family, or empty for all). The correlation is
    that of the shifts' means, for conditions of one shift are no independent cases; ``p``, of all
    families, is the share of pairings with a correlation as high. NaN below three shifts.
    """
    rows = []
    for (spoken, axis), own in scored.groupby(["metric", "axis"], sort=False):
        for left_out in ["", *filter(None, dict.fromkeys(own["family"]))]:
            part = own[own["family"] != left_out] if left_out else own
            if part.empty:
                continue
            means = part.groupby("shift", sort=False)[["forecast", "observed"]].mean()
            r, p = _order(means.to_numpy(float), rng, 0 if left_out else DRAWS)
            keys = {"metric": spoken, "axis": axis, "left_out": left_out}
            keys |= {"n": len(part), "shifts": len(means)}
            scores = part[SCORES].astype(float).mean().to_dict()
            rows.append({**keys, **scores, "spearman_r": r, "p": p})
    columns = ["metric", "axis", "left_out", "n", "shifts", *SCORES, "spearman_r", "p"]
    return pd.DataFrame(rows, columns=columns)


def _order(pairs: FloatArray, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """Rank correlation of two columns and the share of pairings that reach it."""
    if len(pairs) < 3 or np.any(np.ptp(pairs, axis=0) == 0):
        return float("nan"), float("nan")
    r = spearman_r(*pairs.T)
    if not draws:
        return r, float("nan")
    given: Any = {"alternative": "greater", "method": PermutationMethod(draws, rng=rng)}
    return r, float(pearsonr(*map(ranks, pairs.T), **given).pvalue)


def told(tables: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Rows of all networks that have a value, by part and ``keys``."""
    columns = [*PART, *keys, "value", "lower", "upper", "n"]
    rows = pd.concat(tables, ignore_index=True).reindex(columns=columns)
    return rows[np.isfinite(rows["value"].astype(float))]


def as_standin(table: pd.DataFrame) -> pd.DataFrame:
    """A table of simulated assays: ``data`` says so, and the condition names what it stands for."""
    if table.empty or "data" not in table or "condition" not in table:
        return table
    plain = (table["condition"] + " " + table["data"]).str.strip()
    plain = plain.where(table["shift"] == "", table["condition"])
    return table.assign(condition=plain, data="standin")
