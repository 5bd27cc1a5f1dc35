from dataclasses import replace

import numpy as np
import pytest

from lib.motifs.binding import scan
from lib.motifs.pwm import log_odds
from lib.sequences import kmer_codes
from lib.simulator import Assay, Shift, simulate, standin
from lib.simulator.sample import BLOCK, known_truth, planted_sites


def test_a_seed_gives_the_same_bytes_whatever_the_workers_and_the_number_of_elements(world):
    one = simulate(world, 3 * BLOCK + 7, 1)
    assert one.fingerprint == simulate(world, 3 * BLOCK + 7, 1, workers=3).fingerprint
    assert one.fingerprint != simulate(world, 3 * BLOCK + 7, 2).fingerprint
    long = simulate(world, 2 * BLOCK + 100, 1)
    for n in (1, 50, BLOCK, BLOCK + 1):
        assert simulate(world, n, 1).fingerprint == long.take(np.arange(n)).fingerprint
    data = simulate(world, 0, 1)
    assert data.codes.shape == (0, 200)
    assert len(planted_sites(world, 0, 1)) == 0


def test_columns_agree_with_the_sequences_and_the_planted_sites(world):
    data = simulate(world, 3000, 1)
    assert data.metadata["gc"].to_numpy() == pytest.approx(data.gc)
    count = planted_sites(world, 3000, 1)["element"].value_counts()
    assert data.metadata["n_sites"][count.index].to_numpy() == pytest.approx(count.to_numpy())
    assert data.metadata["n_sites"].sum() == count.sum()


def test_planted_sites_are_recovered_by_scanning(world):
    n = 2 * BLOCK + 5
    sites = planted_sites(world, n, 1)
    motifs = world.sequence.motifs
    # a threshold nearly every draw from the motif passes: mean less three s.d. of its log odds
    lowest = []
    for pwm in motifs:
        mean = (pwm.probabilities * log_odds(pwm)).sum(axis=0)
        variance = (pwm.probabilities * log_odds(pwm) ** 2).sum(axis=0) - mean**2
        lowest.append(mean.sum() - 3 * np.sqrt(variance.sum()))
    found = scan(simulate(world, n, 1).codes, motifs, np.array(lowest))
    planted = sites.assign(motif=sites["motif"].cat.codes)[["element", "motif", "start", "strand"]]
    both = planted.merge(found, how="left")
    assert both["score"].notna().mean() > 0.97
    assert (sites["end"] - sites["start"]).to_numpy() == pytest.approx(
        np.array([motifs[code].width for code in sites["motif"].cat.codes])
    )


def test_noise_can_be_raised_everywhere_or_at_test_alone(world):
    noisy = simulate(world, 5000, 1, assay=Assay(reliability=0.2))
    shifted = simulate(world, 5000, 1, shift=Shift("noise", 1.0))
    assert noisy.activity == pytest.approx(shifted.activity)
    error = np.mean(noisy.truth.std**2)
    assert error / (error + noisy.truth.activity.var()) == pytest.approx(0.8, abs=0.02)


def test_bad_requests_are_refused(world):
    with pytest.raises(ValueError, match="n is 9"):
        standin(9)
    with pytest.raises(ValueError, match="has no truth"):
        known_truth(replace(simulate(world, 5, 1), truth=None))


@pytest.fixture(scope="module")
def relatives():
    return standin(2000)


@pytest.fixture(scope="module")
def parent(relatives):
    rows = np.flatnonzero(relatives.metadata["relation"] == "parent")
    assert sorted(relatives.group[rows]) == list(range(1200))
    return rows[np.argsort(relatives.group[rows])][relatives.group]


def test_the_standin_is_a_library_of_its_own_name(relatives):
    assert (relatives.name, relatives.codes.shape) == ("standin", (2000, 200))
    assert relatives.fingerprint == standin(2000).fingerprint != standin(2000, seed=1).fingerprint
    assert 0.05 < abs(np.corrcoef(relatives.gc, relatives.activity)[0, 1]) < 0.5
    assert np.bincount(relatives.group).max() < 0.02 * len(relatives)


def test_relatives_share_sequence_and_activity_but_not_error(relatives, parent):
    words = kmer_codes(relatives.codes, 12)[0]
    for row in np.flatnonzero(parent != np.arange(2000))[:200]:
        assert len(np.intersect1d(words[row], words[parent[row]])) > 10
    rows = np.flatnonzero(relatives.metadata["relation"] == "reverse_complement")
    pairs = parent[rows]
    assert relatives.truth.activity[rows] == pytest.approx(
        relatives.truth.activity[pairs], abs=1e-5
    )
    found = np.corrcoef(relatives.activity[rows], relatives.activity[pairs])[0, 1]
    assert found == pytest.approx(0.744, abs=0.08)
