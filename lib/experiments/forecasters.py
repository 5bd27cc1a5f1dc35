"""Forecasters that stand beside an arm's own networks, on the same splits.

In: arms, and the networks' forecasts. Out: by name forecasts ``(2, splits, n)`` as of
:mod:`lib.experiments.assays`: kernels on motif scores and on k-mers, networks that see motif scores
too, networks of two tissues, the non-negative stack of forecasters and the leading one of them,
both found in each split's ``choice`` part, and baselines.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from lib import assays as mpra
from lib.arrays import FloatArray, IndexArray, group_codes
from lib.assays.tables import TISSUES, reference_predictions
from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_groups, linked
from lib.data.splits import Split
from lib.experiments import assays
from lib.experiments.arms import AssayArm
from lib.experiments.scoring import NETWORKS
from lib.models.baselines import constant_sigma
from lib.motifs.priors import Features, check_prior
from lib.motifs.pwm import RELEASE
from lib.repair.stack import leading, stack
from lib.study.units import Placement, Result, Store, Unit, run_fits, run_units
from lib.training import simple as units
from lib.training.config import FitConfig

KERNELS: Final = ("motif_kernel", "kmer_kernel")
MOTIF_NETWORK, JOINT = "motif_network", "joint"
MOTIF_PRIOR: Final = "motif_jaspar"  # what the rows of the former say it is told
KERNEL_GROUPS: Final = 30  # in an assay; of those that train a kernel leaves some out in turn
KERNEL_ROWS: Final = 10_000  # a kernel takes memory by their square, and time by their cube
COMPONENTS: Final = 32  # of motif scores, so that the path beside the embedding stays narrow
PARTNER: Final = {"plant_leaf": "plant_proto", "plant_proto": "plant_leaf"}  # of one library
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


def of_kernel(data: SequenceDataset, split: Split) -> tuple[IndexArray, Split]:
    """The rows that a kernel sees, and the split of these.

    All rows, but where more than :data:`KERNEL_ROWS` would train: then whole groups of these at
    random, and the other parts.
    """
    known, parts = np.concatenate([split["train"], split["validation"]]), dict(split.parts)
    if len(known) <= KERNEL_ROWS:
        return np.arange(len(data)), split
    kept = known[assays.some_groups(data.group[known], KERNEL_ROWS)]
    parts |= {part: np.intersect1d(parts[part], kept) for part in ("train", "validation")}
    rows = np.unique(np.concatenate([*parts.values()]))
    own = {part: np.searchsorted(rows, each) for part, each in parts.items()}
    return rows, replace(split, parts=own)


def kernels(
    arms: Sequence[AssayArm], names: Sequence[str], store: Store, where: Placement
) -> dict[AssayArm, Named]:
    """The kernels by name, NaN on rows that one does not see; a warning, none, of few groups."""
    found: dict[AssayArm, Named] = {arm: {} for arm in arms}
    for few in {arm.data.name for arm in arms if arm.plan.n_sets < KERNEL_GROUPS}:
        said = f"fewer than {KERNEL_GROUPS} leak groups; no kernels stand beside its networks"
        warnings.warn(f"{few}: {said}", stacklevel=2)
    arms = [arm for arm in arms if arm.plan.n_sets >= KERNEL_GROUPS]
    scores = motif_scans([arm.data for arm in arms if "motif_kernel" in names], store, where)
    asked = []
    for arm, name in product(arms, names):
        forecast = found[arm][name] = np.full((2, len(arm.splits), len(arm.data)), np.nan)
        for place, (rows, split) in enumerate(of_kernel(arm.data, each) for each in arm.splits):
            given: dict[str, Any] = {"data": arm.data.take(rows), "split": split}
            if name == "motif_kernel":
                scan = scores[arm.data.fingerprint]
                given["scores"] = replace(scan, arrays={"scores": scan.arrays["scores"][rows]})
            unit = Unit(units.kernel_unit, {"kernel": name}, given)
            asked.append((unit, forecast[:, place], rows))
    made = run_units([unit for unit, *_ in asked], store, where, "kernels")
    for (_, forecast, rows), result in zip(asked, made, strict=True):
        forecast[:, rows] = result.arrays["mean"], result.arrays["std"]
    return found


def components(arm: AssayArm, store: Store, where: Placement) -> list[Features]:
    """What the network of each split is told of motifs: components ``(n, p)`` of all scores."""
    given, (scores,) = {"count": COMPONENTS}, motif_scans([arm.data], store, where).values()
    own = [{"split": split, "scores": scores} for split in arm.splits]
    asked = [Unit(units.components_unit, given, each) for each in own]
    made = run_units(asked, store, where, "components")
    return [check_prior(one.arrays["features"], MOTIF_PRIOR) for one in made]


Settings = Callable[[AssayArm], Sequence[FitConfig]]


def motif_networks(
    arms: Sequence[AssayArm], settings: Settings, store: Store, where: Placement
) -> dict[AssayArm, FloatArray]:
    """The first network of each arm's settings, told :func:`components` beside the sequence."""
    told = [
        assays.fitting(settings(arm)[0], replace(arm.data, features=known), split)
        for arm in arms
        for split, known in zip(arm.splits, components(arm, store, where), strict=True)
    ]
    left = iter(run_fits(told, store, where, "fits with motif scores"))
    asked = [(arm, lambda _: assays.forecasting(next(left))) for arm in arms]
    return dict(zip(arms, assays.run_arms(asked, store, where, "forecasts"), strict=True))


def with_partner(arm: AssayArm, other: SequenceDataset) -> AssayArm:
    """An arm that trains on another assay too, whose elements follow its own.

    A side feature says which assay an element is of. Nothing trains that is a relative, in either
    assay or across, of an element that a split holds back; all other parts stay.
    """
    both, n = (arm.data, other), len(arm.data)
    codes = np.vstack([data.codes for data in both])
    first, second = (group_codes(data.group) for data in both)
    within = np.append(first.codes, first.n_groups + second.codes)
    across = within.max() + 1 + leak_groups(codes)
    group = linked(within, across, int(across.max()) + 1)[within]
    name, activity = f"{arm.data.name} {other.name}", [data.activity for data in both]
    side = (np.arange(len(codes)) >= n)[:, None].astype(np.float32)
    more: dict[str, Any] = {"features": side, "oriented": arm.data.oriented}
    data = SequenceDataset(name, codes, np.concatenate(activity), group, **more)
    splits = []
    for split in arm.splits:
        back = np.concatenate([rows for part, rows in split.parts.items() if part != "train"])
        train = np.append(split["train"], np.arange(n, len(codes)))
        train = train[~np.isin(group[train], group[back])]
        splits.append(replace(split, parts={**split.parts, "train": train}))
    return replace(arm, data=data, splits=tuple(splits), parts=())


def members(
    arms: Sequence[AssayArm], settings: Settings, *where: Any, elements: int | None = None
) -> dict[AssayArm, Named]:
    """Members of the stack beside an arm's networks: the same for all that are compared with it.

    Networks told of motifs, and the joint network of two tissues, stand on the group arm; of a
    network of one's own there is neither. ``elements`` are those of a partner's sample.
    """
    found = kernels(arms, KERNELS, *where)
    arms = [arm for arm in arms if arm.main and settings(arm)[0].model in NETWORKS]
    for arm, forecast in motif_networks(arms, settings, *where).items():
        found[arm][MOTIF_NETWORK] = forecast
    for arm in arms:
        partner = PARTNER.get(arm.data.name, "")
        if partner and mpra.available(partner):
            both = with_partner(arm, *assays.load_assays(partner, 0, (), elements))
            (fitted,) = assays.fit_arms([both], lambda one: settings(one)[:1], *where)
            found[arm][JOINT] = fitted.members[0][..., : len(arm.data)]
    return found


def combined(arm: AssayArm, members: Mapping[str, FloatArray]) -> Named:
    """``stack`` and ``leading`` of forecasters, found split by split in its choice part."""
    means, stds = np.stack(list(members.values()), axis=1)  # (m, splits, n)
    found = {name: np.full((2, *means.shape[1:]), np.nan) for name in ("stack", "leading")}
    for place, split in enumerate(arm.splits):
        given = means[:, place], stds[:, place], arm.data.activity, split["choice"], arm.data.group
        for name, combine in (("stack", stack), ("leading", leading)):
            found[name][:, place] = combine(*given)[:2]
    return found


def baselines(arms: Sequence[AssayArm], store: Store, where: Placement) -> dict[AssayArm, Named]:
    """:data:`BASELINES` on every arm, and on plant promoters the authors' own predictions."""

    def unit(arm: AssayArm, name: str, split: Split) -> Unit:
        return Unit(units.baseline_unit, {"baseline": name}, {"data": arm.data, "split": split})

    asked = [(arm, partial(unit, arm, name)) for arm in arms for name in BASELINES]
    left = iter(assays.run_arms(asked, store, where, "baselines"))
    found = {arm: {name: next(left) for name in BASELINES} for arm in arms}
    for arm in (arm for arm in arms if arm.main):
        assay, _, tissue = arm.data.name.partition("_")
        if assay == "plant" and tissue in TISSUES:
            # Sigma is their error in calibration.
            means, target = reference_predictions(tissue), arm.data.activity
            if len(means) == len(target):  # they are of all promoters
                told = [constant_sigma(means, target, split["calibration"]) for split in arm.splits]
                found[arm]["authors_cnn"] = np.stack(told, axis=1)
    return found
