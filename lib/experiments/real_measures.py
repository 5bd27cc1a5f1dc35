"""Measured noise and the ladder of corrections, per split and over splits.

In: fitted networks and their parts. Out: ``noise``, what the measured noise explains of each part's
errors and whether the predicted aleatoric std allows for it; ``ladder``, coverage, ZMS and RMSE
under a paired shift after each correction.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.real_arms import GENOTYPE, PROMOTER, quantified
from lib.experiments.real_assays import Assays, barcode_std
from lib.experiments.real_parts import LIBRARIES, Asked, is_choice
from lib.experiments.real_scoring import Fitted
from lib.experiments.real_severity import CONTROL, genotype_pair
from lib.statistics.intervals import combine_splits
from lib.statistics.noise import noise_account
from lib.statistics.paired import FEWEST
from lib.statistics.paired_ladder import forecast_ladder

MOST_DRAWS = 300  # of intervals of each split; splits are pooled after
_WIDTH = 2 * 1.959964  # of a 95 % interval, in standard errors


def over_splits(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Pool ``value, lower, upper`` of single splits, with ``n`` and ``n_train``.

    The bootstrap variance of a split is read off its interval. Rows without a value drop out.

    Returns
    -------
    DataFrame
        ``keys, value, lower, upper, n, splits``.
    """
    rows = []
    for key, part in table[np.isfinite(table["value"])].groupby(list(keys), sort=False):
        variance = ((part["upper"] - part["lower"]) / _WIDTH) ** 2
        known = np.isfinite(variance).all()
        pooled = combine_splits(
            part["value"], variance if known else 0 * part["value"], part["n"].mean(),
            part["n_train"].mean(),
        )  # fmt: skip
        ends = (pooled.lower, pooled.upper) if known else (np.nan, np.nan)
        if len(part) == 1 and known:
            ends = (part["lower"].iloc[0], part["upper"].iloc[0])
        row = dict(zip(keys, key, strict=True)) | {"value": pooled.value}
        row |= {"lower": ends[0], "upper": ends[1], "n": round(part["n"].mean())}
        rows.append(row | {"splits": len(part)})
    return pd.DataFrame(rows)


def _errors(fitted: Fitted, asked: Asked) -> Iterator[tuple[str, FloatArray]]:
    """Measured standard errors of a part's labels, by where they come from."""
    if asked.noise is None:
        return
    table = fitted.network.data.metadata
    if "barcode_cv" in table and not asked.foreign:
        yield "replicates", asked.noise
        yield "barcodes", barcode_std(table.iloc[asked.rows])
    else:
        yield "barcodes", asked.noise


def noise_rows(fitted: Fitted, asked: Asked, draws: int) -> Iterator[dict[str, Any]]:
    """Reliability, allowed correlation, split of the error and predicted against measured noise.

    Elements whose error is unknown (one barcode) are left out of what is read from barcodes.
    """
    found = fitted.of(asked)
    seed = fitted.network.split.seed
    for source, error in _errors(fitted, asked):
        known = np.isfinite(error)
        rows, group = asked.rows[known], asked.group[known]
        if len(np.unique(group)) < FEWEST:
            continue
        account = noise_account(
            found.mean[rows],
            found.aleatoric[rows],
            asked.target[known],
            error[known],
            group,
            np.random.default_rng(seed),
            draws=draws,
        )
        for row in account.to_dict("records"):
            yield (
                asked.keys
                | {"errors": source, "split_seed": seed, **row}
                | {"n_train": len(fitted.network.split["train"])}
            )


def _ladder_part(
    assays: Assays, fitted: Fitted, rows: IndexArray, asked: Sequence[Asked], draws: int
) -> Iterator[pd.DataFrame]:
    """Ladder of each condition; ``rows`` are elements of the genotypes that may be judged.

    The scrambled elements all serve as anchors: only their labels are read.
    """
    first = assays.genotypes[PROMOTER]
    control = (first.metadata["variant_type"] == CONTROL).to_numpy()
    usable = np.zeros(len(control), bool)
    usable[quantified(assays)] = True
    judged = np.zeros(len(control), bool)
    judged[rows] = True
    chosen = np.flatnonzero(usable & (judged | control))
    mean, std = np.zeros(len(control)), np.ones(len(control))
    for part in asked:
        promoter, genotype = _law(part)
        pair = genotype_pair(first, assays.genotypes[promoter], genotype, chosen)
        found = fitted.of(part)
        mean[rows], std[rows] = found.mean[part.rows], fitted.scale * found.std[part.rows]
        table = forecast_ladder(
            pair, mean[chosen], std[chosen], np.random.default_rng(0), draws=draws
        )
        yield table.assign(
            **part.keys,
            n=int((~pair.anchors).sum()),
            n_train=len(fitted.network.split["train"]),
            split_seed=fitted.network.split.seed,
        )


def _law(asked: Asked) -> tuple[str, str]:
    """Promoter and genotype that a part's labels are of."""
    condition = asked.condition.split(",")[0]
    if asked.shift == "genotype":
        return PROMOTER, condition
    promoter, _, genotype = condition.partition(" ")
    return promoter, genotype or GENOTYPE


def ladder_tables(
    assays: Assays, fitted: Fitted, asked: Sequence[Asked], draws: int
) -> list[pd.DataFrame]:
    """The ladder under every genotype and promoter that a network is asked about.

    The forecast's std is first scaled on the calibration part, so that what a rung closes is shift
    and not ordinary overconfidence.
    """
    parts = [
        part
        for part in asked
        if part.split == "shifted"
        and part.shift in ("genotype", "promoter")
        and "trained on" not in part.condition
        and not is_choice(part.condition)
    ]
    if not parts:
        return []
    rows = parts[0].rows if LIBRARIES in parts[0].condition else quantified(assays)[parts[0].rows]
    return list(_ladder_part(assays, fitted, rows, parts, draws))
