"""What every experiment returns: tidy rows, further tables, and what the manifest says of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import pandas as pd

from lib.study.config import ExperimentConfig


class Tables(NamedTuple):
    """What an experiment finds; its ``run`` says which tables there are.

    Attributes
    ----------
    rows : DataFrame
        Tidy results, see :mod:`lib.study.results`.
    tables : dict of str to DataFrame
        Other shapes, by name.
    entry : dict
        For the manifest: ``data``, the fingerprint of each data set by name; ``fits`` and
        ``fits_computed``, how many fits there are and how many of them this run computed.
    standin : bool
        Whether the stand-in assay took the place of real data.
    """

    rows: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    entry: dict[str, Any]
    standin: bool

    @classmethod
    def of(
        cls,
        config: ExperimentConfig,
        rows: pd.DataFrame,
        tables: Mapping[str, pd.DataFrame],
        *,
        data: Mapping[str, str],
        counts: Mapping[str, int],
        standin: bool = False,
    ) -> Self:
        """Tables whose rows name their experiment and profile."""
        named = rows.copy()
        named.insert(0, "profile", config.profile)
        named.insert(0, "experiment", config.experiment)
        return cls(named, dict(tables), {"data": dict(data), **counts}, standin)
