"""What is trained on what, and asked about what: no network meets relatives of what it learned."""

from dataclasses import replace

import numpy as np
import pytest

from lib.data.splits import Split
from lib.experiments.twins import networks as made
from lib.experiments.twins.assays import Assays
from lib.experiments.twins.standin import standin_assays
from lib.training.config import FitConfig

LEARNED = ("train", "validation", "calibration")


@pytest.fixture(scope="module")
def assays() -> Assays:
    return standin_assays(400)


@pytest.fixture(scope="module")
def networks(assays: Assays) -> list[made.Network]:
    return made.networks(assays, FitConfig(epochs=1), split_seeds=(0, 1))


def test_measured_noise_makes_weights_of_mean_one_that_the_median_floors() -> None:
    # Variances 1, 1, 4 with median 1: 1/2, 1/2, 1/5, of mean 2/5.
    weight = made.noise_weight(np.array([1.0, 1.0, 2.0]))
    assert weight == pytest.approx([1.25, 1.25, 0.5])


def test_only_first_libraries_train_and_all_are_tested_on(
    assays: Assays, networks: list[made.Network]
) -> None:
    split, library = networks[0].split, assays.library
    assert all(set(library[split[part]]) == set(assays.first) for part in LEARNED)
    assert set(library[split["test"]]) == {*assays.first, *assays.noisy}


def test_every_library_is_left_out_once(networks: list[made.Network]) -> None:
    assert [each.condition for each in networks if each.kind == "batch"] == ["1", "2"]


def test_no_network_is_asked_about_relatives_of_what_it_learned_from(
    networks: list[made.Network],
) -> None:
    assert {each.kind for each in networks} == set(made.ARMS) - {"gc"}
    for network in networks:
        assert network.asked
        seen = np.concatenate([network.split["train"], network.split["validation"]])
        for asked in network.asked:
            assert np.isfinite(asked.target).all()
            if not asked.foreign:
                assert not set(network.data.group[asked.rows]) & set(network.data.group[seen])


def test_a_planted_relative_of_training_is_no_element_to_ask_about(
    assays: Assays, networks: list[made.Network]
) -> None:
    split = networks[0].split
    before = made.unrelated_elements(assays, split)
    codes = assays.genotypes["rho"].codes.copy()
    codes[before[0], :40] = assays.retina.codes[split["train"][0], :40]
    planted = {name: replace(each, codes=codes) for name, each in assays.genotypes.items()}
    after = made.unrelated_elements(replace(assays, genotypes=planted), split)
    assert before[0] not in after
    assert len(after) >= len(before) - 2


def test_another_offset_is_as_if_the_labels_were_made_with_it(assays: Assays) -> None:
    """Mean 3 over BASAL 1 with ε = 1 is log2(4 / 2); with 4 ε it is log2(7 / 5)."""
    assay = assays.genotypes["rho"]
    own = replace(assay, activity=np.ones((3, 6)), basal=np.ones(6), epsilon=1.0)
    assert made.at_offset(own, "WT", 1.0) == pytest.approx(np.ones(3))
    assert made.at_offset(own, "WT", 4.0) == pytest.approx(np.log2(np.full(3, 7 / 5)))


def test_a_library_that_holds_no_training_row_is_an_error() -> None:
    parts = dict(zip((*LEARNED, "test"), np.arange(4)[:, None], strict=True))
    with pytest.raises(ValueError, match="leaves the part 'train' empty"):
        made.restricted(Split("group", 0, parts), "genomic", np.array([False, True, True, True]))
