import numpy as np
import pytest

from lib.sequences import decode, reverse_complement
from lib.simulator import standin


@pytest.fixture(scope="module")
def data():
    return standin(2000)


def test_it_is_a_library_of_its_own_name(data):
    assert (data.name, data.codes.shape) == ("standin", (2000, 200))
    assert data.fingerprint == standin(2000).fingerprint != standin(2000, seed=1).fingerprint


def test_activity_rises_with_gc_or_falls(data):
    assert 0.05 < abs(np.corrcoef(data.gc, data.activity)[0, 1]) < 0.5


def test_groups_hold_a_parent_and_its_relatives(data):
    parents = data.metadata["relation"] == "parent"
    assert parents.sum() == 1200
    assert len(np.unique(data.group)) == 1200
    assert sorted(data.group[parents]) == list(range(1200))
    assert np.bincount(data.group).max() < 0.02 * len(data)


def test_relatives_share_sequence_with_their_parent(data):
    def kmers(row: np.ndarray) -> set[str]:
        texts = decode(np.stack([row, reverse_complement(row[None])[0]]))
        return {text[i : i + 12] for text in texts for i in range(len(text) - 11)}

    relation = data.metadata["relation"].to_numpy()
    parent = {g: i for i, g in enumerate(data.group) if relation[i] == "parent"}
    for i in np.flatnonzero(relation != "parent")[:200]:
        assert len(kmers(data.codes[i]) & kmers(data.codes[parent[data.group[i]]])) > 10


def test_relatives_share_activity_but_not_error(data):
    relation = data.metadata["relation"].to_numpy()
    parent = {g: i for i, g in enumerate(data.group) if relation[i] == "parent"}
    rows = np.flatnonzero(relation == "reverse_complement")
    pairs = np.array([parent[g] for g in data.group[rows]])
    assert data.truth.activity[rows] == pytest.approx(data.truth.activity[pairs], abs=1e-5)
    assert np.corrcoef(data.activity[rows], data.activity[pairs])[0, 1] == pytest.approx(
        0.744, abs=0.08
    )


def test_too_small_is_refused():
    with pytest.raises(ValueError, match="n is 9"):
        standin(9)
