"""Everything that the GC experiment fits: networks, baselines and what is made of them.

In: assays with their arms, and :class:`Plan`. Out: :class:`Fitted`, each arm with its forecasts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lib.data.dataset import FloatArray, SequenceDataset
from lib.experiments import gc_variants
from lib.experiments.baseline_fits import baselines
from lib.experiments.fits import fitting, forecast, predicting
from lib.experiments.gc_arms import Arm
from lib.experiments.gc_variants import Job, Variants
from lib.study.units import Placement, Result, Store, Unit, missing_units, run_units
from lib.training.config import FitConfig
from lib.training.ensembles import combine

Forecast = tuple[FloatArray, FloatArray]


class Plan(NamedTuple):
    """What is fitted on every arm.

    Attributes
    ----------
    fit : callable
        Seed and whether both strands are used, to the configuration of a fit.
    seeds : sequence of int
        Of the group arm.
    members : int
        Of these, how many on every other arm.
    variants : Variants
    """

    fit: Callable[[int, bool], FitConfig]
    seeds: Sequence[int]
    members: int
    variants: Variants = Variants()


class Fitted(NamedTuple):
    """An arm with what was fitted on its split; forecasts cover all rows of ``data``.

    ``others`` are those of :mod:`lib.experiments.gc_variants`, with the keys of their rows.
    """

    data: SequenceDataset
    arm: Arm
    members: list[Forecast]
    others: list[tuple[Mapping[str, Any], FloatArray, FloatArray]]
    baselines: Result


def _jobs(plan: Plan, arms: Sequence[tuple[SequenceDataset, Arm]]) -> tuple[list[Job], list[Job]]:
    """The fits of every arm that need no other: its own, and those of other networks."""
    own: list[Job] = []
    others: list[Job] = []
    for index, (data, arm) in enumerate(arms):
        both = arm.both_strands and not data.oriented
        for seed in plan.seeds if arm.main else plan.seeds[: plan.members]:
            own.append(Job(index, {}, fitting(plan.fit(seed, both), data, arm.split)))
        if arm.main:
            base = plan.fit(plan.seeds[0], both)
            others += gc_variants.other_fits(plan.variants, base, data, arm.split, index)
    return own, others


def _students(
    plan: Plan,
    arms: Sequence[tuple[SequenceDataset, Arm]],
    finished: Sequence[Sequence[tuple[Unit, Result]]],
) -> list[Job]:
    """Fits that learn from the finished ones of a group arm."""
    if not plan.variants.distilled:
        return []
    return [
        gc_variants.distil_job(index, finished[index], plan.fit(plan.seeds[0], not data.oriented))
        for index, (data, arm) in enumerate(arms)
        if arm.main
    ]


def _with_dropout(
    plan: Plan,
    arms: Sequence[tuple[SequenceDataset, Arm]],
    finished: Sequence[Sequence[tuple[Unit, Result]]],
) -> list[Job]:
    """Passes with dropout of the first fit of a group arm."""
    if not plan.variants.dropout_samples:
        return []
    base = plan.fit(plan.seeds[0], True)
    return [
        gc_variants.dropout_job(plan.variants, index, *finished[index][0], base)
        for index, (_, arm) in enumerate(arms)
        if arm.main
    ]


def fit_all(
    arms: Sequence[tuple[SequenceDataset, Arm]], plan: Plan, store: Store, where: Placement
) -> tuple[list[Fitted], dict[str, int]]:
    """Every arm with its forecasts, and how many fits there are and were computed now."""
    own, others = _jobs(plan, arms)
    jobs = [*own, *others]
    missing = missing_units([job.unit for job in jobs], store)
    results = run_units([job.unit for job in jobs], store, where, "fits")
    finished: list[list[tuple[Unit, Result]]] = [[] for _ in arms]
    for job, result in zip(own, results[: len(own)], strict=True):
        finished[job.arm].append((job.unit, result))
    students = _students(plan, arms, finished)
    missing += missing_units([job.unit for job in students], store)
    learnt = run_units([job.unit for job in students], store, where, "students")
    asked = [
        job._replace(unit=predicting(job.unit, result))
        for job, result in zip(jobs, results, strict=True)
    ]
    asked += [
        job._replace(unit=gc_variants.predicting_student(job, result))
        for job, result in zip(students, learnt, strict=True)
    ]
    asked += _with_dropout(plan, arms, finished)
    forecasts = run_units([job.unit for job in asked], store, where, "forecasts")
    simple = run_units(
        [baselines(data, arm.split) for data, arm in arms], store, where, "baselines"
    )
    fitted = [Fitted(*arm, [], [], result) for arm, result in zip(arms, simple, strict=True)]
    for index, (job, result) in enumerate(zip(asked, forecasts, strict=True)):
        if index < len(own):
            fitted[job.arm].members.append(forecast(result))
        else:
            fitted[job.arm].others.append((job.keys, *forecast(result)))
    return fitted, {"fits": len(jobs) + len(students), "fits_computed": missing}


def base_forecast(fitted: Fitted) -> Forecast:
    """The ensemble of an arm's fits, or the one fit there is; NaN on rows they have seen."""
    if len(fitted.members) == 1:
        return fitted.members[0]
    means, stds = (np.stack(values) for values in zip(*fitted.members, strict=True))
    unseen = np.isfinite(means).all(axis=0)
    together = combine(means[:, unseen], stds[:, unseen])
    mean, std = np.full((2, means.shape[1]), np.nan)
    mean[unseen], std[unseen] = together.mean, together.std
    return mean, std
