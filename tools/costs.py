"""What the full profile costs: every network fit of the notebooks, counted without fitting one.

Out: ``results/trust/cost.csv``, a row per notebook, kind, model and training elements; ``shared``
are fits of an earlier notebook. Seconds are of one thread of :data:`PROCESSOR`: a fit's are its
epochs over the rates at which short trainings and forecasts were timed, as if none stopped early.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pandas as pd

from lib import assays
from lib.experiments import assay_and_program_shifts as twins
from lib.experiments import audit_your_own as audit
from lib.experiments import motif_recovery, mpra_gc_ood, priors, selective_prediction
from lib.experiments import simulation_shifts as shifts
from lib.experiments import structural_priors as structural
from lib.experiments import uncertainty_repair as repair
from lib.experiments.arms import AssayArm
from lib.experiments.forecasters import PARTNER, with_partner
from lib.experiments.world_measures import VISIBLE
from lib.experiments.worlds import Arm
from lib.study.config import repository_root
from lib.study.results import to_csv, write_atomic
from lib.training.config import FitConfig

PROCESSOR: Final = "AMD EPYC (Milan) at 2.4 GHz, AVX2, float32, both of 2 cores busy"
MODULES: Final[tuple[Any, ...]] = (
    *(shifts, mpra_gc_ood, structural, selective_prediction, twins, repair, motif_recovery, audit),
)
# Sequences of 200 nt per second of processor time: in training, and in forecasting both strands.
RATES: Final = {"cnn": (1168, 2093), "bilstm": (823, 1392), "transformer": (704, 1036)}
# What is no fit and was timed on world 50 or one fold: notebook, what, how often, seconds each.
# Kernels of other folds by the square of their size; judging in 03 to 08 was not timed.
BESIDE: Final[tuple[tuple[str, str, int, float], ...]] = (
    ("01", "judging a world with its CNN", 20, 161.0),
    ("02", "wtc11, two kernels, group", 12, 146.3),
    ("02", "wtc11, two kernels, tails", 30, 97.0),
    ("02", "plant_leaf, two kernels, group", 11, 86.0),
    ("02", "plant_leaf, two kernels, tails", 30, 56.0),
)


class Planned(NamedTuple):
    """One fit: where, of what, on how many elements of which length, and what makes it the same."""

    notebook: str
    kind: str
    fit: FitConfig
    n: tuple[int, int, int]  # training, validation, forecast
    length: int
    same: tuple[Any, ...]

    @property
    def seconds(self) -> float:
        train, forward = (rate * 200 / self.length for rate in RATES[self.fit.model])
        forward *= 1 if self.fit.reverse_complement else 2
        each = self.n[0] / train + self.n[1] / forward
        return self.fit.epochs * each + self.n[2] / forward


def of_worlds(full: dict[str, Any]) -> Iterator[Planned]:
    first, sixth = full["01"], full["06"]
    noisy = [Arm(w, "cnn", max(first.sizes)) for w in first.world_seeds[: first.other_worlds]]
    asked = [("01", arm, "") for arm, _ in shifts.plan(first)]
    asked += [("01", arm, f"noisy, {told}") for arm in noisy for told in VISIBLE]
    asked += [("03", arm, "") for arm, _ in structural.plan(full["03"])]
    asked += [("04", arm, "") for arm, _ in selective_prediction.world_arms(full["04"])]
    asked += [("06", Arm(w, sixth.model, sixth.n_train), "") for w in sixth.world_seeds]
    asked += [("07", arm, "") for arm in motif_recovery.world_arms(full["07"])]
    for number, arm, more in asked:
        config = full["03"].model_copy(update={"epochs": full[number].epochs})
        settings, prior = priors.arm_settings(arm, config), arm.prior.replace("none", "")
        kind = ", ".join(filter(None, ("worlds", arm.law.cell, prior, more)))
        n, same = (arm.size, full[number].n_validation, 0), settings.model_dump_json()
        yield Planned(number, kind, settings, n, 200, (arm, full[number].n_train, n, same, more))


def of_arm(number: str, arm: AssayArm, settings: FitConfig, *told: str) -> Iterator[Planned]:
    for split in arm.splits:
        if split.name == "family":  # left out with the first seed alone
            settings = settings.model_copy(update={"seed": 0})
        train, held = len(split["train"]), len(split["validation"])
        same = arm.data.fingerprint, split.fingerprint, settings.model_dump_json(), told
        n, kind = (train, held, len(arm.data) - train - held), (arm.data.name, arm.kind, *told)
        yield Planned(number, ", ".join(kind), settings, n, arm.data.codes.shape[1], same)


def of_assays(full: dict[str, Any]) -> Iterator[Planned]:
    second, data = full["02"], mpra_gc_ood.load_data(full["02"])
    for one in structural.assay_plan(full["03"]):
        told = () if one.prior == "none" else (one.prior,)
        yield from of_arm("03", one.arm, full["03"].assays.design.settings(one.arm)[0], *told)
    asked = [(n, full[n].assays.design) for n in ("04", "06")]
    asked += [("02", second.design), ("07", full["07"].design), ("08", full["08"].networks.design)]
    for number, arm, design in ((n, arm, d) for n, d in asked for arm in d.build(data)):
        some = number in ("07", "08")  # of the group arm its folds alone
        for settings in design.settings(arm) if arm.main or not some else ():
            yield from of_arm(number, arm.headline if some else arm, settings)
    for arm in second.design.build(data):
        first = second.design.settings(arm)[0]
        if arm.main:
            yield from of_arm("02", arm, first, "motif_jaspar")
        if arm.main and (partner := PARTNER.get(arm.data.name)):
            yield from of_arm("02", with_partner(arm, assays.load(partner)), first)
    for networks, design in twins.planned(full["05"], twins.load_assays(full["05"])):
        for network, fit in ((each, fit) for each in networks for fit in design.settings(each)):
            yield from of_arm("05", network, fit)


def main() -> None:
    full = {f"{i:02d}": each.Config.create(profile="full") for i, each in enumerate(MODULES, 1)}
    seen, rows = dict[tuple[Any, ...], str](), list[tuple[Any, ...]]()
    for one in sorted([*of_worlds(full), *of_assays(full)], key=lambda each: each.notebook):
        if seen.get(one.same) != one.notebook:  # else counted already
            shared = one.same in seen
            near = one.n[0] if one.kind.startswith("worlds") else round(one.n[0], -3)
            rows.append((*one[:2], one.fit.model, near, shared, None if shared else one.seconds))
            seen[one.same] = one.notebook
    keys = ["notebook", "kind", "model", "n_train"]
    table = pd.DataFrame(rows, columns=[*keys, "shared", "seconds"]).astype({"seconds": float})
    made = {"fits": ("shared", "size"), "shared": ("shared", "sum"), "seconds": ("seconds", "mean")}
    own = table.groupby(keys, sort=False).agg(**made, core_hours=("seconds", "sum")).reset_index()
    more = [(*given, "", None, count, 0, each, count * each) for *given, count, each in BESIDE]
    own = pd.concat([own, pd.DataFrame(more, columns=own.columns)]).sort_values("notebook")
    own["core_hours"] = (own["core_hours"].astype(float) / 3600).round(2)
    own = own.round({"seconds": 1}).assign(processor=PROCESSOR)
    write_atomic(repository_root() / "results" / "trust" / "cost.csv", to_csv(own))
    print(own.groupby("notebook")["core_hours"].sum(), own["core_hours"].sum())


if __name__ == "__main__":
    main()
