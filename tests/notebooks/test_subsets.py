"""Every subset of a list parameter makes a page; sampled, several parameters at a time."""

from typing import Any

import numpy as np
import pytest

from lib.assays.retina import LIBRARIES
from lib.experiments import arms, priors
from lib.experiments.twins import networks
from lib.simulator import SHIFTS
from tests.shown import render

pytestmark = pytest.mark.slow
DIALS, DOSES, TILTS = (0.25, 0.5, 1.0), (0.5, 2.0), (-0.5, 0.5, 1.0)
# What the lists of each page may hold at the sizes of smoke.
CHOICES: dict[str, dict[str, tuple[Any, ...]]] = {
    "01_simulation_shifts": {
        **{"shifts": tuple(SHIFTS), "severities": DIALS, "models": ("cnn", "bilstm")},
        **{"rewirings": (0.2, 0.8), "gc_tilts": DOSES, "noise_shares": (0.5, 0.8)},
        **{"world_seeds": (50, 51, 52), "sizes": (100, 150)},
    },
    "02_mpra_gc_ood": {**{"arm": arms.ARMS, "gc_tilts": TILTS, "seeds": (0, 1)}},
    "03_structural_priors": {
        **{"priors": priors.PRIORS, "shifts": tuple(SHIFTS), "severities": DIALS},
        **{"world_seeds": (50, 51), "sizes": (100, 150), "gc_tilts": TILTS},
        "assay_priors": priors.ASSAY_PRIORS,
    },
    "04_selective_prediction": {
        **{"world_seeds": (50, 51), "severities": DIALS, "seeds": (0, 1), "gc_tilts": TILTS}
    },
    "05_assay_and_program_shifts": {
        **{"arm": networks.ARMS, "libraries": LIBRARIES, "labels": (10, 20), "seeds": (0, 1)},
        **{"targets": ("rho WT", "rho Rhom", "hsp68 WT", "1", "2")},
    },
    "06_uncertainty_repair": {
        **{"shifts": tuple(SHIFTS), "severities": DIALS, "world_seeds": (50, 51)},
        **{"gc_tilts": TILTS, "labels": (10, 20)},
    },
    "07_motif_recovery": {
        **{"models": ("cnn", "bilstm"), "world_seeds": (50, 51), "shifts": tuple(SHIFTS)}
    },
    "08_audit_your_own": {"gc_tilts": TILTS, "seeds": (0, 1)},
}
GIVEN = {"08_audit_your_own": {"dataset": "standin"}}  # without, nothing is trained
PAGES = [(page, draw) for page in CHOICES for draw in range(2)]


def subset(page: str, draw: int) -> dict[str, Any]:
    """The first draw of a page holds one word of each list, others any number."""
    rng = np.random.default_rng([draw, *page.encode()])
    given = {}
    for name, known in CHOICES[page].items():
        count = 1 if draw == 0 else rng.integers(1, len(known) + 1)
        given[name] = [known[place] for place in sorted(rng.permutation(len(known))[:count])]
    return given


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIFT_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.mark.parametrize(("page", "draw"), PAGES)
def test_a_page_stands_on_any_part_of_its_lists(page, draw, store, tmp_path):
    given = subset(page, draw) | GIVEN.get(page, {})
    *shown, settings = render(page, profile="smoke", run_folder=str(tmp_path), workers=1, **given)
    assert shown and "Effective configuration" in settings, given
