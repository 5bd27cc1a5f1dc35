"""What each contrast of the ledger could have shown, from the width of its interval.

In: the ledger and ``results/claims/parts.csv``. Out: for each contrast that counts, the smallest
effect that an interval of that width tells from no effect in four of five repetitions, and the
smallest that it would have called supported.

An interval of level ``a`` is taken as normal, on the scale on which its effect is closer to its
middle (natural or logarithmic). With half-width ``h``, an effect must lie ``h (1 + z_0.8 / z_q)``
beyond a limit for the whole interval to lie beyond it with probability 0.8, where
``q = (1 + a) / 2``; an equivalence with no effect holds with that probability if the range reaches
``h (1 + z_0.9 / z_q)`` to both sides.
"""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.statistics.claims import Claim, ClaimPart, read_claims

POWER = 0.8


def reach(level: float, power: float) -> float:
    """Half-widths from a limit at which the interval clears it with probability ``power``.

    Examples
    --------
    >>> round(reach(0.95, 0.8), 3)  # (1.960 + 0.842) / 1.960
    1.429
    """
    return float(1 + norm.ppf(power) / norm.ppf((1 + level) / 2))


def detectable(part: ClaimPart, found: Mapping[Hashable, Any]) -> tuple[str, str]:
    """What a contrast could have shown with probability 0.8.

    Parameters
    ----------
    part : ClaimPart
    found : mapping
        ``effect``, ``lower``, ``upper`` and the ``level`` of the interval.

    Returns
    -------
    (str, str)
        The smallest effect told from no effect, and the smallest called supported; for an
        equivalence a dash, and the narrowest range about no effect that would have passed.
    """
    ends = np.array([found["lower"], found["effect"], found["upper"]], float)
    scales = [ends] if ends[0] <= 0 else [ends, np.log(ends)]
    off = [abs(x[1] - (x[0] + x[2]) / 2) / (x[2] - x[0]) for x in scales]
    is_log = len(off) > 1 and off[1] < off[0]
    half = float(np.ptp(scales[int(is_log)][[0, 2]]) / 2)

    def beyond(limit: float, half_widths: float) -> float:
        step = half_widths * half
        return float(limit * np.exp(step) if is_log else limit + step)

    if part.direction == "within":
        steps = reach(found["level"], (1 + POWER) / 2)
        low, high = (beyond(part.null, sign * steps) for sign in (-1, 1))
        return "–", f"{low:.3g} to {high:.3g}"
    sign, word = (1, ">") if part.direction == "greater" else (-1, "<")
    steps = sign * reach(found["level"], POWER)
    told, supported = (beyond(point, steps) for point in (part.null, *part.limits))
    return f"{word} {told:.3g}", f"{word} {supported:.3g}"


def _part_of(claim: Claim, name: str) -> ClaimPart:
    """The part of a judged row; its name may end with the values of ``each``."""
    for part in claim.parts:
        if name == part.name or (part.each and name.startswith(f"{part.name} (")):
            return part
    raise ValueError(f"claim {claim.id} has no part {name!r}; run make claims")


def power_table(parts: pd.DataFrame, claims: Sequence[Claim]) -> pd.DataFrame:
    """Every contrast of ``results/claims/parts.csv`` that counts, with what it could have shown.

    Returns
    -------
    DataFrame
        ``id``, ``contrast``, ``n``, ``effect``, ``told``, ``supported``, ``margin``.

    Raises
    ------
    ValueError
        If a row belongs to no part of the ledger.
    """
    known = {claim.id: claim for claim in claims}
    counted = parts[~parts["secondary"].astype(bool)].rename(columns={"part": "contrast"})
    rows = counted.to_dict("records")
    shown = [detectable(_part_of(known[row["id"]], row["contrast"]), row) for row in rows]
    counted = counted.assign(told=[a for a, _ in shown], supported=[b for _, b in shown])
    columns = ["id", "contrast", "n", "effect", "told", "supported", "margin"]
    return counted[columns].reset_index(drop=True)


def read_power(root: Path) -> pd.DataFrame:
    """The table of a repository's ledger and published verdicts; an error where none are."""
    path = root / "results" / "claims" / "parts.csv"
    if not path.is_file():
        raise FileNotFoundError("results/claims/parts.csv does not exist; make claims writes it")
    return power_table(pd.read_csv(path), read_claims(root / "claims.yaml"))
