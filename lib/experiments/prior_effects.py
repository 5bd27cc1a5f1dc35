"""What a prior gives in simulated worlds over none and over its placebos, paired by world.

In: long values of networks, a row per world, network, condition and metric. Out: rows of a table of
effects (:mod:`lib.statistics.effects`). Errors are RMSE against the noise-free activity f; gains
are ratios of errors, or shares of a squared error taken away.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.experiments.dose_response import crossing_row, size_at
from lib.experiments.worlds import NOISY
from lib.statistics.effects import CHANGES, ENDS, LEVELS, Effect, against, effect

MAIN_MODEL: Final = "cnn"
PLACEBOS: Final = ("permuted", "motif_unrelated")  # the same values, and the same width
REFERENCES: Final = ("none", *PLACEBOS)
PRIOR: Final = "motif_decoy"  # that claims speak of
WORTH: Final = 0.97  # a ratio of errors; above it a gain has ended
CHANGED: Final = (Effect("rmse_f_ratio", "rmse_f", "ratio"),)
KIND: Final = ("data", "model", "n_train")
OF_PRIOR: Final = ("severity", "prior", "against")
PLACE: Final = ("split", "shift", "family", "condition", "cell")


def prior_effects(values: pd.DataFrame) -> Iterator[dict[str, Any]]:
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


def size_effects(errors: pd.DataFrame) -> Iterator[dict[str, Any]]:
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
        yield crossing_row("gain_ends_at", ends, LEVELS, **keys)


def line_effects(errors: pd.DataFrame, n_train: int) -> Iterator[dict[str, Any]]:
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


def noise_effects(
    errors: pd.DataFrame, n_train: int, cells: Sequence[str]
) -> Iterator[dict[str, Any]]:
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


def matched_effects(errors: pd.DataFrame, n_train: int) -> Iterator[dict[str, Any]]:
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
    yield crossing_row("clean_n", pd.Series(matched), LEVELS, **keys)
    yield effect("gain_at_clean_n", clean_gain, **keys)
    yield effect("gain_at_noise_beyond_clean", gain - clean_gain, **keys)


def effects(values: pd.DataFrame, n_train: int, cells: Sequence[str]) -> pd.DataFrame:
    """All contrasts over worlds; ``cells`` are the genomic shifts of C7 and C8.

    Those of errors are of the main network, the last ones of ``n_train`` training elements.
    """
    main = {"data": "simulation", "model": MAIN_MODEL}
    errors = values[(values["metric"] == "rmse_f") & (values["data"] == main["data"])]
    errors = errors[errors["model"] == MAIN_MODEL]
    of_one_size = (
        *line_effects(errors, n_train),
        *noise_effects(errors, n_train, cells),
        *matched_effects(errors, n_train),
    )
    rows = [
        *prior_effects(values),
        *(main | row for row in size_effects(errors) if row),
        *(main | {"n_train": n_train} | row for row in of_one_size if row),
    ]
    if not rows:
        return pd.DataFrame(columns=["effect", *KIND, *PLACE, *OF_PRIOR, *ENDS, "worlds", "p"])
    table = pd.DataFrame(rows).rename(columns={"n": "worlds"})
    return table.drop(columns=["df", "how"], errors="ignore")
