"""Forecasters that stand beside an arm's own networks, on the same splits.

In: arms, and the networks' forecasts. Out: by name forecasts ``(2, splits, n)`` as of
:mod:`lib.experiments.assays`: kernels on motif scores and on k-mers, the non-negative stack of
forecasters and the leading one of them, both found in each split's ``choice`` part, and baselines.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from lib.arrays import FloatArray
from lib.assays.tables import TISSUES, reference_predictions
from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.experiments.arms import AssayArm
from lib.experiments.assays import run_arms
from lib.models.baselines import constant_sigma
from lib.motifs.pwm import RELEASE
from lib.repair.stack import leading, stack
from lib.study.units import Placement, Result, Store, Unit, run_units
from lib.training import simple as units

KERNELS: Final = ("motif_kernel", "kmer_kernel")
BASELINES: Final = ("mean", "gc_ridge", "kmer_ridge", "memoriser")
MOTIFS: Final = {"kingdom": "vertebrates", "release": RELEASE}
Named = dict[str, FloatArray]


def motif_scans(
    data: Sequence[SequenceDataset], store: Store, where: Placement
) -> dict[str, Result]:
    """Motif scores of all elements (:func:`lib.training.simple.motif_unit`), by fingerprint."""
    scanned = {assay.fingerprint: assay for assay in data}
    scans = [Unit(units.motif_unit, MOTIFS, {"data": assay}) for assay in scanned.values()]
    results = run_units(scans, store, where, "motif scans")
    return dict(zip(scanned, results, strict=True))


def _by_name(
    arms: Sequence[AssayArm],
    names: Sequence[str],
    unit: Callable[[AssayArm, str, Split], Unit],
    *where: Any,
) -> dict[AssayArm, Named]:
    """Of every arm and name the forecast that a unit makes of each split."""
    asked = [(arm, name) for arm in arms for name in names]
    made = run_arms([(arm, partial(unit, arm, name)) for arm, name in asked], *where)
    found: dict[AssayArm, Named] = {arm: {} for arm in arms}
    for (arm, name), forecast in zip(asked, made, strict=True):
        found[arm][name] = forecast
    return found


def kernels(
    arms: Sequence[AssayArm], names: Sequence[str], store: Store, where: Placement
) -> dict[AssayArm, Named]:
    """The kernels of :data:`KERNELS` by name, on every arm."""
    scanned = [arm.data for arm in arms if "motif_kernel" in names]
    scores = motif_scans(scanned, store, where)

    def unit(arm: AssayArm, name: str, split: Split) -> Unit:
        more = {"scores": scores[arm.data.fingerprint]} if name == "motif_kernel" else {}
        return Unit(units.kernel_unit, {"kernel": name}, {"data": arm.data, "split": split, **more})

    return _by_name(arms, names, unit, store, where, "kernels")


def combined(arm: AssayArm, members: Mapping[str, FloatArray]) -> Named:
    """``stack`` and ``leading`` of forecasters, found split by split in its choice part."""
    means, stds = np.stack(list(members.values()), axis=1)  # (m, splits, n)
    found = {
        name: np.full(means.shape[1:], np.nan)[None].repeat(2, 0) for name in ("stack", "leading")
    }
    for place, split in enumerate(arm.splits):
        given = means[:, place], stds[:, place], arm.data.activity, split["choice"], arm.data.group
        for name, combine in (("stack", stack), ("leading", leading)):
            found[name][:, place] = combine(*given)[:2]
    return found


def baselines(arms: Sequence[AssayArm], store: Store, where: Placement) -> dict[AssayArm, Named]:
    """:data:`BASELINES` on every arm, and on plant promoters the authors' own predictions."""

    def unit(arm: AssayArm, name: str, split: Split) -> Unit:
        return Unit(units.baseline_unit, {"baseline": name}, {"data": arm.data, "split": split})

    found = _by_name(arms, BASELINES, unit, store, where, "baselines")
    for arm in (arm for arm in arms if arm.main):
        assay, _, tissue = arm.data.name.partition("_")
        if assay == "plant" and tissue in TISSUES:
            # Sigma is their error in calibration.
            means, target = reference_predictions(tissue), arm.data.activity
            told = [constant_sigma(means, target, split["calibration"]) for split in arm.splits]
            found[arm]["authors_cnn"] = np.stack(told, axis=1)
    return found
