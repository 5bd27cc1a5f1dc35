"""What each contrast of the ledger could have shown, from the width of its interval.

In: ``claims.yaml`` and ``results/claims/parts.csv``. Out: for each contrast that counts, the
smallest effect that an interval of that width tells from no effect in four of five repetitions, and
the smallest that it would have called supported.

An interval of level ``a`` is taken as normal, on the scale on which its effect is closer to its
middle (natural or logarithmic). With half-width ``h``, an effect must lie ``h (1 + z_0.8 / z_q)``
beyond a limit for the whole interval to lie beyond it with probability 0.8, where
``q = (1 + a) / 2``; an equivalence with no effect holds with that probability if the range reaches
``h (1 + z_0.9 / z_q)`` to both sides.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.statistics.claims_file import Claim, Part, read_claims

POWER = 0.8


class Interval(NamedTuple):
    """An effect with its interval at ``level``."""

    effect: float
    lower: float
    upper: float
    level: float

    @property
    def is_log(self) -> bool:
        """The interval is closer to symmetric on the logarithmic scale."""
        if self.lower <= 0:
            return False
        ends = np.array([self.lower, self.effect, self.upper])
        off = [abs(x[1] - (x[0] + x[2]) / 2) / (x[2] - x[0]) for x in (ends, np.log(ends))]
        return bool(off[1] < off[0])

    def beyond(self, limit: float, half_widths: float) -> float:
        """The point that many half-widths from ``limit``."""
        if self.is_log:
            half = np.log(self.upper / self.lower) / 2
            return float(limit * np.exp(half_widths * half))
        return float(limit + half_widths * (self.upper - self.lower) / 2)


def reach(level: float, power: float) -> float:
    """Half-widths from a limit at which the interval clears it with probability ``power``.

    Examples
    --------
    >>> round(reach(0.95, 0.8), 3)  # (1.960 + 0.842) / 1.960
    1.429
    """
    return float(1 + norm.ppf(power) / norm.ppf((1 + level) / 2))


def detectable(part: Part, found: Interval) -> tuple[str, str]:
    """What the contrast could have shown with probability 0.8.

    Parameters
    ----------
    part : Part
    found : Interval

    Returns
    -------
    (str, str)
        The smallest effect told from no effect, and the smallest called supported; for an
        equivalence a dash, and the narrowest range about no effect that would have passed.
    """
    if part.direction == "within":
        steps = reach(found.level, (1 + POWER) / 2)
        low, high = (found.beyond(part.null, sign * steps) for sign in (-1, 1))
        return "–", f"{low:.3g} to {high:.3g}"
    limit = part.limits
    assert not isinstance(limit, tuple)
    sign = 1 if part.direction == "greater" else -1
    word = ">" if sign > 0 else "<"
    steps = sign * reach(found.level, POWER)
    told, supported = (found.beyond(point, steps) for point in (part.null, limit))
    return f"{word} {told:.3g}", f"{word} {supported:.3g}"


def _part_of(claim: Claim, name: str) -> Part:
    """The part of a judged row; its name may end with the values of ``each``."""
    for part in claim.parts:
        if name == part.name or (part.each and name.startswith(f"{part.name} (")):
            return part
    raise ValueError(f"claim {claim.id} has no part {name!r}; run make claims")


def power_table(parts: pd.DataFrame, claims: Sequence[Claim]) -> pd.DataFrame:
    """Every contrast that counts, with what it could have shown.

    Parameters
    ----------
    parts : DataFrame
        ``results/claims/parts.csv``.
    claims : sequence of Claim

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
    rows = []
    for row in parts[~parts["secondary"].astype(bool)].to_dict("records"):
        found = Interval(row["effect"], row["lower"], row["upper"], row["level"])
        told, supported = detectable(_part_of(known[row["id"]], row["part"]), found)
        cells = [row[name] for name in ("id", "part", "n", "effect")]
        rows.append((*cells, told, supported, row["margin"]))
    columns = ["id", "contrast", "n", "effect", "told", "supported", "margin"]
    return pd.DataFrame(rows, columns=columns)


def read_power(root: Path) -> pd.DataFrame:
    """The table of a repository's ledger and published verdicts.

    Raises
    ------
    FileNotFoundError
        If nothing was judged.
    ValueError
        As :func:`power_table`.
    """
    path = root / "results" / "claims" / "parts.csv"
    if not path.is_file():
        raise FileNotFoundError("results/claims/parts.csv does not exist; make claims writes it")
    return power_table(pd.read_csv(path), read_claims(root / "claims.yaml"))
