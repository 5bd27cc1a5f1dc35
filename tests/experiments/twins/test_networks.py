"""What is trained on what, and asked about what: no network meets relatives of what it learned."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lib.data.splits import Split
from lib.experiments.scoring import Scored, score
from lib.experiments.twins import networks as made
from lib.experiments.twins.assays import Assays, standin_assays
from lib.experiments.twins.networks import RealCondition

LEARNED = ("train", "validation", "choice", "calibration")


@pytest.fixture(scope="module")
def assays() -> Assays:
    return standin_assays(400)


@pytest.fixture(scope="module")
def networks(assays: Assays) -> list[made.Network]:
    return made.networks(assays, made.ARMS, 3, 0, ())


def test_only_first_libraries_train_and_none_that_is_left_out(assays, networks):
    library = assays.retina.metadata["library"].to_numpy(str)
    for split in networks[0].splits:
        assert all(set(library[split[part]]) == set(assays.first) for part in LEARNED)
        assert set(library[split["test"]]) == {*assays.first, *assays.noisy}
    apart = [each for each in networks if each.kind == "batch"]
    assert [each.condition for each in apart] == ["1", "2"]
    for each in apart:
        for split in each.splits:
            assert all(each.condition not in library[split[part]] for part in LEARNED)


def test_each_element_is_tested_once_per_law(assays: Assays, networks: list[made.Network]) -> None:
    (home,) = [each for each in networks if each.condition == "rho WT"]
    whole = [asked for asked in home.asked if asked.less is None]
    times = Counter((asked.shift, asked.condition) for asked in whole)
    assert set(times.values()) == {1}
    assert len(times) == len(assays.laws) + 2 * 7  # two other offsets, of wild type or rho alone
    assert all(asked.rows.tolist() == list(range(400)) for asked in whole)


def test_the_tissues_share_their_folds(networks: list[made.Network]) -> None:
    leaf, proto = (each for each in networks if each.kind == "plant")
    asked, same = leaf.asked[2], proto.asked[3]
    assert (asked.split, same.split) == ("shifted", "matched")
    assert asked.condition == same.condition == "leaf to proto"
    places = []
    for one, part in ((leaf, asked), (proto, same)):
        given = part.target, one.tested[part.rows], one.plan.codes[part.rows]
        places.append(sorted(zip(*given, strict=True)))
    assert places[0] == places[1]  # the fold and the set of every label


def test_no_network_is_asked_about_relatives_of_what_it_learned_from(networks):
    assert {each.kind for each in networks} == set(made.ARMS) - {"gc"}
    for network in networks:
        assert network.asked
        for asked in network.asked:
            assert np.isfinite(asked.target).all()
            for place, split in enumerate(network.splits):
                own = asked.rows[network.tested[asked.rows] == place]
                seen = np.concatenate([split[part] for part in LEARNED])
                assert not set(network.data.group[own]) & set(network.data.group[seen])


def test_another_offset_by_hand_and_a_library_without_training_rows(assays: Assays) -> None:
    """Mean 3 over BASAL 1 with ε = 1 is log2(4 / 2); with 4 ε it is log2(7 / 5)."""
    assay = assays.genotypes["rho"]
    own = replace(assay, activity=np.ones((3, 6)), basal=np.ones(6), epsilon=1.0)
    assert made.at_offset(own, "WT", 1.0) == pytest.approx(np.ones(3))
    assert made.at_offset(own, "WT", 4.0) == pytest.approx(np.log2(np.full(3, 7 / 5)))
    parts = dict(zip((*LEARNED, "test"), np.arange(5)[:, None], strict=True))
    with pytest.raises(ValueError, match="leaves the part 'train' empty"):
        made.restricted(Split("group", 0, parts), "genomic", np.arange(5) > 0)


@pytest.mark.parametrize(
    ("shift", "condition", "expected"),
    [
        ("genotype", "Ehom", ("test", "", "")),
        ("genotype", "Ehom, 4 ε", ("test", "", "4 ε")),
        ("batch", "3", ("inside", "batch", "3")),
        ("design", "mutant", ("inside", "design", "genomic")),
        ("placebo", "wtc11", ("inside", "placebo", "wtc11")),
        ("placebo", "retina_libraries", ("test", "", "")),
    ],
)
def test_each_shift_is_compared_with_its_own_kind(shift, condition, expected):
    parsed = RealCondition.parse(condition)
    assert parsed.reference(shift) == expected
    assert str(parsed) == condition
    assert RealCondition.parse("ε / 4") == RealCondition("", "ε / 4")  # a choice alone
    assert RealCondition.parse("leaf, own") == RealCondition("leaf, own")


def test_variants_are_measured_differences_of_a_peak_intact_and_mutated(assays, networks):
    (home,) = (one for one in networks if one.condition == "rho WT")
    first = assays.genotypes["rho"]
    kind, peak = (first.metadata[name].to_numpy(str) for name in ("variant_type", "peak"))
    quantified = assays.quantified
    parts = {part.condition: part for part in home.asked if part.split == "variants"}
    assert len(parts) == len(assays.laws)
    part = parts["Rhom"]
    intact, mutated = quantified[part.rows], quantified[part.less]
    assert len(intact) > 20 and (peak[intact] == peak[mutated]).all()
    assert set(kind[intact]) == {"wildtype"} and set(kind[mutated]) == {"allCrxSites"}
    activity = first.activity[:, first.column("Rhom")]
    assert part.target == pytest.approx(activity[intact] - activity[mutated])
    # Forecasts subtract, and errors add as those of independent elements do.
    forecast = np.stack([np.arange(len(home.data)), np.full(len(home.data), 3.0)])
    table = part.table(forecast)
    assert table["mean"].to_numpy() == pytest.approx(part.rows - part.less)
    assert table["std"].to_numpy() == pytest.approx(np.sqrt(18))


def test_an_effect_that_is_forecast_without_error_is_scored_so(assays, networks):
    (home,) = (one for one in networks if one.condition == "rho WT")
    part = next(part for part in home.asked if part.split == "variants" and not part.shift)
    truth = home.data.activity
    table = part.table(np.stack([truth + 5, np.full(len(truth), 0.1)]))  # an offset cancels
    rows = score(Scored(part.keys, table, home.plan.take(part.rows), None), 100).rows
    values = rows[rows["by"] == ""].set_index("metric")["value"]
    assert values["pearson_r"] == pytest.approx(1) and values["rmse"] == pytest.approx(0, abs=1e-9)
    assert "crps_skill" not in values  # no training mean is one of differences
