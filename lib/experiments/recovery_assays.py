"""Do networks of real assays look at known motifs, and do they agree on where they look?

In: finished networks of an assay's splits. Out: aggregates over test parts. The control of a motif
is the same matrix with its positions in random order: as much information, no biology.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import group_codes
from lib.assays.sources import fetch
from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split
from lib.experiments.recovery_worlds import SIGNS, warning_signs
from lib.metrics.bootstrap import bootstrap_totals, draw_variance, group_totals
from lib.motifs.binding import scan, score_threshold
from lib.motifs.pwm import PWM, jaspar, make_pwm, read_meme
from lib.sequences import Codes
from lib.simulator.programs import MOTIFS
from lib.study.units import Result, Stored, Unit
from lib.training.attribution import BoolArray, cover, gradient_input
from lib.training.fitted import FittedModel

SITE_P_VALUE: Final = 1e-3  # core-promoter elements are short: few windows reach 1e-4
SHUFFLES: Final = 5
LEAST_SITES: Final = 10  # below it nothing is printed
SETS: Final[Mapping[str, tuple[str, str]]] = {
    "plant_leaf": ("plant", "data/misc/CPEs.meme"),
    "retina_libraries": ("retina", "Library_Details/photoreceptorAndEnrichedMotifs.meme"),
}


def known_motifs(data: str) -> tuple[PWM, ...]:
    """Motifs known to matter in an assay; those of the simulator where nobody published any."""
    if data in SETS:
        return read_meme(fetch(*SETS[data]))
    return jaspar(MOTIFS)


@dataclass(frozen=True, eq=False)
class Motifs:
    """Motifs as data of a unit."""

    pwms: tuple[PWM, ...]

    @property
    def fingerprint(self) -> str:
        """Names and digits of the matrices."""
        return repr([(pwm.name, pwm.probabilities.tolist()) for pwm in self.pwms])


def shuffled(pwm: PWM, rng: np.random.Generator) -> PWM:
    """The motif with its positions in random order."""
    order = rng.permutation(pwm.width)
    return make_pwm(pwm.name, pwm.probabilities[:, order])


def _hits(data: SequenceDataset, pwm: PWM) -> pd.DataFrame:
    """Windows that reach the threshold; those of the forward strand alone where it matters."""
    hits = scan(data.codes, [pwm], score_threshold(pwm, SITE_P_VALUE))
    return hits[hits["strand"] > 0] if data.oriented else hits


def _covered(data: SequenceDataset, hits: pd.DataFrame, width: int) -> BoolArray:
    return cover(data.codes.shape, hits["element"], hits["start"], hits["start"] + width)


def site_profile(scores: FloatArray, codes: Codes, hits: pd.DataFrame, width: int) -> FloatArray:
    """Mean score of each letter at each position of a motif, over its hits, ``(4, width)``.

    Hits on the reverse strand are turned round. What rests on fewer than :data:`LEAST_SITES` hits
    is 0, so that no value is one element's.

    Parameters
    ----------
    scores : (n, L) float array
    codes : (n, L) uint8 array
    hits : DataFrame
        ``element, start, strand``; no window with an N.
    width : int
    """
    place = hits["start"].to_numpy()[:, None] + np.arange(width)  # (hits, width)
    element = hits["element"].to_numpy()[:, None]
    letter, value = codes[element, place].astype(np.int64), scores[element, place]
    turned = hits["strand"].to_numpy() < 0
    letter[turned], value[turned] = 3 - letter[turned, ::-1], value[turned, ::-1]
    total, count = np.zeros((2, 4, width))
    position = np.broadcast_to(np.arange(width), letter.shape)
    np.add.at(total, (letter, position), value)
    np.add.at(count, (letter, position), 1)
    return np.where(count >= LEAST_SITES, total / max(len(hits), 1), 0.0)


def enrichment(
    scores: FloatArray, hits: BoolArray, control: BoolArray, group: Any, draws: int
) -> tuple[float, float]:
    """Mean |score| at hits over that at control hits, as a logarithm, with its variance.

    Parameters
    ----------
    scores : (n, L) float array
    hits, control : (n, L) arrays
        Positions, or how often each counts.
    group : (n,) labels
        Resampled by the bootstrap.
    draws : int
    """
    size = np.abs(scores)
    columns = np.stack(
        [(size * hits).sum(1), hits.sum(1), (size * control).sum(1), control.sum(1)], axis=1
    ).astype(float)
    groups = group_codes(group)
    totals = group_totals(columns, groups)
    (drawn,) = bootstrap_totals([totals], groups.n_groups, draws, np.random.default_rng(0))

    def log_ratio(sums: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(sums[0] / sums[1]) - np.log(sums[2] / sums[3]))

    return float(log_ratio(columns.sum(axis=0))), float(draw_variance(log_ratio(drawn)))


def known_unit(
    config: Mapping[str, Any], model: Stored, data: SequenceDataset, split: Split, motifs: Motifs
) -> Result:
    """Enrichment of each known motif on a test part, and its mean scores.

    Arrays: ``values`` (motifs, 3), the log ratio, its variance over groups and the number of
    elements with a hit, NaN below :data:`LEAST_SITES` of them; ``profiles`` (motifs, 4, widest).
    """
    network = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    test = data.take(split["test"])
    scores = gradient_input(network, test.codes)
    rng = np.random.default_rng(0)
    widest = max(pwm.width for pwm in motifs.pwms)
    values = np.full((len(motifs.pwms), 3), np.nan)
    profiles = np.full((len(motifs.pwms), 4, widest), np.nan)
    for place, pwm in enumerate(motifs.pwms):
        hits = _hits(test, pwm)
        own = _covered(test, hits, pwm.width)
        controls = [shuffled(pwm, rng) for _ in range(SHUFFLES)]
        control = np.sum([_covered(test, _hits(test, c), c.width) for c in controls], axis=0)
        values[place, 2] = found = own.any(axis=1).sum()
        if min(found, (control > 0).any(axis=1).sum()) >= LEAST_SITES:
            values[place, :2] = enrichment(scores, own, control, test.group, config["draws"])
            profiles[place, :, : pwm.width] = site_profile(scores, test.codes, hits, pwm.width)
    return Result({"values": values, "profiles": profiles})


def members_unit(
    config: Mapping[str, Any], data: SequenceDataset, split: Split, **models: Stored
) -> Result:
    """:data:`lib.experiments.recovery_worlds.SIGNS` of an ensemble on its test part."""
    networks = [
        FittedModel.from_arrays(model.result.arrays, model.result.meta)
        for _, model in sorted(models.items())
    ]
    test = data.take(split["test"])
    found = warning_signs(networks, test.codes, test.activity)
    return Result({"values": np.array([found[name] for name in SIGNS])})


def looking(
    data: SequenceDataset, split: Split, fit: Unit, result: Result, motifs: Motifs, draws: int
) -> Unit:
    """The unit that scores a finished network against known motifs."""
    given = {"model": Stored(result, fit.key), "data": data, "split": split, "motifs": motifs}
    return Unit(known_unit, {"draws": draws}, given, fit.modules)


def members_agreeing(
    data: SequenceDataset, split: Split, fits: Sequence[tuple[Unit, Result]]
) -> Unit:
    """The unit that compares the members of an ensemble."""
    models = {f"member_{i:02d}": Stored(result, unit.key) for i, (unit, result) in enumerate(fits)}
    given: dict[str, Any] = {"data": data, "split": split, **models}
    return Unit(members_unit, {}, given, fits[0][0].modules)


def motif_rows(data: str, motifs: Sequence[PWM], split_seed: int, result: Result) -> pd.DataFrame:
    """One row per motif of one split."""
    table = pd.DataFrame(result.arrays["values"], columns=["value", "variance", "n"])
    names = [pwm.name for pwm in motifs]
    return table.assign(data=data, motif=names, split_seed=split_seed)


def profile_rows(data: str, motifs: Sequence[PWM], results: Sequence[Result]) -> pd.DataFrame:
    """Mean scores of each letter at each position of each motif, over splits that show it."""
    stacked = np.stack([result.arrays["profiles"] for result in results])
    rows = []
    for place, pwm in enumerate(motifs):
        own = stacked[:, place, :, : pwm.width]
        known = own[np.isfinite(own).all(axis=(1, 2))]
        if len(known):
            table = pd.DataFrame(known.mean(axis=0).T, columns=list("ACGT"))
            table.insert(0, "position", np.arange(pwm.width))
            rows.append(table.assign(data=data, motif=pwm.name, splits=len(known)))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
