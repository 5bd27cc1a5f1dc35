"""Metrics and audits: 100,000 forecasts against uncertainty-toolbox, ten million from Parquet.

The peer's ``get_all_metrics`` also draws random groups of elements to look for miscalibrated ones,
which has no counterpart here, and averages pinball and interval scores over 99 levels, which add
nothing to the CRPS. A second row leaves these parts of the peer out.
"""

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from record import exponent, medians, peak_mib, record, row

from lib.metrics.audit import audit
from lib.metrics.evaluate import all_metrics

PEER = "uncertainty-toolbox"
SIZES = (12_500, 25_000, 50_000, 100_000)
MANY = 10_000_000
CHUNK = 1_000_000

Forecast = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def forecast(n: int, seed: int = 0) -> Forecast:
    """A calibrated forecast of n elements: mean, std, target."""
    rng = np.random.default_rng(seed)
    mean, noise = rng.normal(size=(2, n))
    std = rng.uniform(0.3, 1.2, n)
    return mean, std, mean + std * noise


def write_parquet(path: Path, n: int) -> None:
    """A predictions table of n rows, written in chunks."""
    writer = None
    for start in range(0, n, CHUNK):
        mean, std, target = forecast(min(CHUNK, n - start), seed=start)
        table = pa.table({"target": target, "mean": mean, "std": std})
        writer = parquet.ParquetWriter(path, table.schema) if writer is None else writer
        writer.write_table(table)
    if writer is not None:
        writer.close()


def audit_memory(n: int) -> None:
    """The audit of n elements held in memory."""
    audit(*forecast(n), np.random.default_rng(0))


def audit_file(path: Path) -> None:
    """All metrics, curves and bands of a Parquet file, whose columns are read one by one."""
    names = ("mean", "std", "target")
    columns = (parquet.read_table(path, columns=[name])[name].to_numpy() for name in names)
    audit(*columns, np.random.default_rng(0))


def peer_metrics(mean: NDArray, std: NDArray, target: NDArray, groups: bool) -> None:
    """The peer's metrics, with or without what has no counterpart here."""
    import uncertainty_toolbox as uct

    if groups:
        uct.get_all_metrics(mean, std, target, verbose=False)
        return
    uct.metrics.get_all_accuracy_metrics(mean, target, verbose=False)
    uct.metrics.get_all_average_calibration(mean, std, target, 100, verbose=False)
    uct.metrics.get_all_sharpness_metrics(std, verbose=False)
    uct.nll_gaussian(mean, std, target)
    uct.crps_gaussian(mean, std, target)


def metric_rows() -> list[dict]:
    """``metrics_100k`` and, where the peer is installed, the comparison with it."""
    n = SIZES[-1]
    data = {size: forecast(size) for size in SIZES}
    times = [medians(5, partial(all_metrics, *data[size]))[0][0] for size in SIZES]
    ((ours, spread),) = medians(9, partial(all_metrics, *data[n]))
    more = {"spread": spread, "exponent": exponent(SIZES, times)}
    if find_spec("uncertainty_toolbox") is None:
        print(f"{PEER} is not installed (benchmarks/peers.txt lists it): no ratio")
        return [row("metrics_100k", "s", ours, n, **more)]
    rows = []
    for name, groups, label in (
        ("metrics_100k", True, PEER),
        ("metrics_100k__without_groups", False, f"{PEER} without adversarial groups"),
    ):
        (fast, _), (slow, _) = medians(
            3, partial(all_metrics, *data[n]), partial(peer_metrics, *data[n], groups)
        )
        extra = more if groups else {}
        rows.append(row(name, "s", fast, n, peer=slow, peer_name=label, **extra))
    return rows


def main() -> None:
    """Measure and record."""
    record(metric_rows())
    times = [medians(3, partial(audit_memory, size))[0][0] for size in SIZES]
    work = partial(audit, *forecast(SIZES[-1]), np.random.default_rng(0))
    ((took, spread),) = medians(5, work)
    peak = peak_mib(partial(audit_memory, SIZES[-1]))
    more = {"spread": spread, "exponent": exponent(SIZES, times), "peak_mib": peak}
    record([row("audit_100k", "s", took, SIZES[-1], **more)])
    with tempfile.TemporaryDirectory() as folder:
        paths = {n: Path(folder) / f"{n}.parquet" for n in (MANY // 10, MANY)}
        for n, path in paths.items():
            write_parquet(path, n)
        small, large = (medians(1, partial(audit_file, path))[0][0] for path in paths.values())
        slope = exponent((MANY // 10, MANY), (small, large))
        peak = peak_mib(partial(audit_file, paths[MANY]))
        record([row("audit_10m", "s", large, MANY, exponent=slope, peak_mib=peak)])


if __name__ == "__main__":
    main()
