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
from lib.experiments import mixed_noise, motif_recovery, mpra_gc_ood, priors, selective_prediction
from lib.experiments import simulation_shifts as shifts
from lib.experiments import structural_priors as structural
from lib.experiments import uncertainty_repair as repair
from lib.experiments.arms import AssayArm
from lib.experiments.forecasters import PARTNER, with_partner
from lib.experiments.worlds import Arm
from lib.study.config import repository_root
from lib.study.results import to_csv, write_atomic
from lib.training.config import FitConfig, tuned

PROCESSOR: Final = "AMD EPYC (Milan) at 2.4 GHz, AVX2, float32, both of 2 cores busy"
# Sequences of 200 nt per second of processor time: in training, and in forecasting both strands.
RATES: Final = {"cnn": (1168, 2093), "bilstm": (823, 1392), "transformer": (704, 1036)}
# What is no fit, timed on world 50 or one fold: notebook, what, how often, seconds each.
BESIDE: Final[tuple[tuple[str, str, int, float], ...]] = ()
COLUMNS: Final = ("notebook", "kind", "model", "n_train", "fits", "shared", "seconds")


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
        fitted, held, left = self.n
        return self.fit.epochs * (fitted / train + held / forward) + left / forward


def of_worlds(full: dict[str, Any]) -> Iterator[Planned]:
    first, sixth = full["01"], full["06"]
    noisy = [Arm(w, "cnn", max(first.sizes)) for w in first.world_seeds[: first.mixed_worlds]]
    asked = [("01", arm, "") for arm, _ in shifts.plan(first)]
    asked += [("01", arm, f"noisy, {told}") for arm in noisy for told in mixed_noise.VISIBLE]
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
    """The fits of an arm of an assay, one per split."""
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
    designs = {"02": second.design, "04": full["04"].assays.design, "06": full["06"].assays.design}
    designs |= {"07": full["07"].design, "08": full["08"].networks.design}
    for number, design in designs.items():
        some = number in ("07", "08")  # of the group arm its folds alone
        for arm in (arm for arm in design.build(data) if arm.main or not some):
            for settings in design.settings(arm):
                yield from of_arm(number, arm.headline if some else arm, settings)
            if number != "02":
                continue
            own = {"reverse_complement": arm.both_strands, "precision": second.precision}
            for model in second.other_models if arm.main else ():
                yield from of_arm("02", arm, tuned(model, **own))
            if arm.main or arm.kind == "tail":
                yield from of_arm("02", arm, design.settings(arm)[0], "motif_jaspar")
            if arm.main and (partner := PARTNER.get(arm.data.name)):
                joint = with_partner(arm, assays.load(partner))
                yield from of_arm("02", joint, design.settings(joint)[0])
    for networks, design in twins.planned(full["05"], twins.load_assays(full["05"])):
        for network in networks:
            for settings in design.settings(network):
                yield from of_arm("05", network, settings)


def main() -> None:
    """Count, write the table, and print core-hours by notebook."""
    modules = [shifts, mpra_gc_ood, structural, selective_prediction, twins]
    modules += [repair, motif_recovery, audit]
    full = {f"{i:02d}": each.Config.create(profile="full") for i, each in enumerate(modules, 1)}
    seen, rows = dict[tuple[Any, ...], str](), list[tuple[Any, ...]]()
    for one in sorted([*of_worlds(full), *of_assays(full)], key=lambda each: each.notebook):
        shared = seen.setdefault(one.same, one.notebook) != one.notebook
        near = one.n[0] if one.kind.startswith("worlds") else round(one.n[0], -3)
        rows.append((*one[:2], one.fit.model, near, 1, shared, 0 if shared else one.seconds))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"seconds": float})
    own = table.groupby(list(COLUMNS[:4]), sort=False).sum().reset_index()
    more = [(*each[:2], "", None, each[2], 0, each[2] * each[3]) for each in BESIDE]
    own = pd.concat([own, pd.DataFrame(more, columns=COLUMNS)]).sort_values("notebook")
    hours = (own["seconds"] / 3600).round(2)
    left = (own["fits"] - own["shared"]).astype(float)
    each = (own["seconds"] / left.where(left > 0)).round(1)
    own = own.assign(seconds=each, core_hours=hours, processor=PROCESSOR)
    write_atomic(repository_root() / "results" / "trust" / "cost.csv", to_csv(own))
    print(own.groupby("notebook")["core_hours"].sum().to_string(), f"\nall {hours.sum():.1f}")


if __name__ == "__main__":
    main()
