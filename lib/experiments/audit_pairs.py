"""The same elements measured under two conditions: what changed, and does the model foresee it?

In: :class:`lib.experiments.audit_table.Forecasts` whose table has the columns ``pair`` (the
element) and ``condition``, and may have ``noise_std`` (measured standard error) and ``anchor``
(true for controls). Out: a table, a row per other condition and quantity of
:func:`lib.statistics.paired.decompose`, and what the forecast makes of the change.
"""

import numpy as np
import pandas as pd

from lib.data.table import numbers
from lib.experiments.audit_reading import harmless
from lib.experiments.audit_table import MOST_LABELS, Forecasts
from lib.metrics.scores import pearson_r, rmse
from lib.statistics.paired import decompose, paired_assay

COLUMNS = ("pair", "condition")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0", "")


def _flags(values: pd.Series) -> pd.Series:
    texts = values.astype(str).str.strip().str.lower()
    wrong = ~texts.isin([*_TRUE, *_FALSE])
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        raise ValueError(f"anchor is {values.iloc[row]!r} in row {row}; true or false would do")
    return texts.isin(_TRUE)


def _sides(forecasts: Forecasts) -> dict[str, pd.DataFrame]:
    """One table per condition, in order of appearance, indexed by pair."""
    # Rows that the model saw in training would foresee too much.
    rows = [part.rows for part in forecasts.parts]
    table = forecasts.table.iloc[np.sort(np.concatenate([*rows, forecasts.calibration]))]
    kept = ["pair", "condition", "target", "mean", "std", "group"]
    frame = table[kept].assign(noise_std=0.0, anchor=False)
    if "noise_std" in table:
        frame["noise_std"] = numbers(table["noise_std"], "noise_std")
    if "anchor" in table:
        frame["anchor"] = _flags(table["anchor"])
    frame = frame[frame["pair"].notna() & (frame["pair"].astype(str) != "")]
    labels = list(pd.unique(frame["condition"]))
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(
            f"condition has {len(labels)} labels among rows with a pair; 2 to {MOST_LABELS} would "
            "do, the reference first"
        )
    twice = frame.duplicated(["pair", "condition"])
    if twice.any():
        row = int(np.argmax(twice.to_numpy()))
        raise ValueError(
            f"pair {frame['pair'].iloc[row]!r} stands twice under condition "
            f"{frame['condition'].iloc[row]!r}; one row for each would do"
        )
    return {
        harmless(label): frame[frame["condition"] == label].set_index("pair") for label in labels
    }


def decomposition(forecasts: Forecasts, draws: int) -> tuple[pd.DataFrame, list[str]]:
    """Offset, gain, rewiring and noise between the first condition and each other one.

    Returns
    -------
    table : DataFrame
        ``data, reference, condition, quantity, value, lower, upper, n``. Beside the quantities of
        :func:`lib.statistics.paired.decompose`: ``predicted_change_pearson_r`` and
        ``predicted_change_rmse`` of the forecast's change against the measured one, and
        ``change_rmse``, the same for the forecast that nothing changes.
    notes : list of str
    """
    if not set(COLUMNS) <= set(forecasts.table.columns):
        return pd.DataFrame(), [
            "Columns pair and condition (and noise_std, the standard error of target) would add a "
            "decomposition of what changes between conditions."
        ]
    notes = []
    if "noise_std" not in forecasts.table:
        notes.append(
            "Without a column noise_std the noise of the measurement counts as rewiring below."
        )
    try:
        (reference, first), *others = _sides(forecasts).items()
    except ValueError as error:
        return pd.DataFrame(), [f"No decomposition: {error}."]
    found = []
    for name, side in others:
        both = first.merge(side, left_index=True, right_index=True, suffixes=("_a", "_b"))
        try:
            pair = paired_assay(
                both["target_a"],
                both["target_b"],
                both["noise_std_a"],
                both["noise_std_b"],
                both["group_a"],
                both["anchor_a"].to_numpy(bool),
            )
            table = decompose(pair, np.random.default_rng(0), draws=draws)
        except ValueError as error:
            notes.append(f"No decomposition of {name}: {error}.")
            continue
        measured = both["target_b"] - both["target_a"]
        foreseen = both["mean_b"] - both["mean_a"]
        more = {
            "predicted_change_pearson_r": pearson_r(foreseen, measured),
            "predicted_change_rmse": rmse(foreseen, measured),
            "change_rmse": rmse(np.zeros(len(measured)), measured),
        }
        own = pd.DataFrame({"quantity": list(more), "value": list(more.values())})
        table = pd.concat([table, own.assign(n=len(both))], ignore_index=True)
        named = {"data": forecasts.data, "reference": reference, "condition": name}
        found.append(table.assign(**named))
    return (pd.concat(found, ignore_index=True) if found else pd.DataFrame()), notes
