import numpy as np
import pandas as pd
import pytest

from lib.motifs.binding import scan
from lib.simulator import Assay, Shift, World, draw_world, simulate
from lib.simulator.activity import activity, reread, responses
from lib.simulator.assay import ANCHORS
from lib.simulator.sample import planted_sites
from lib.simulator.shifts import apply


def explained(features: np.ndarray, target: np.ndarray) -> float:
    """Share of variance a linear regression explains."""
    design = np.column_stack([np.ones(len(target)), features])
    fit = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return 1 - np.var(target - fit) / np.var(target)


def planted_responses(world: World, codes: np.ndarray, seed: int) -> np.ndarray:
    """Responses to the planted sites alone, as they are bound in the actual sequence."""
    program, n = world.program, len(codes)
    sites = planted_sites(world, n, seed)
    windows = scan(codes, program.motifs, program.potentials - 4)
    windows["bound"] = 1 / (1 + np.exp(program.potentials[windows["motif"]] - windows["score"]))
    windows = windows.groupby(["element", "motif", "start"], as_index=False)["bound"].sum()
    sites = sites.assign(motif=sites["motif"].cat.codes.astype(np.int64))
    found = sites.merge(windows, how="left", on=["element", "motif", "start"]).fillna({"bound": 0})
    load = np.zeros((n, len(program.motifs)))
    np.add.at(load, (found["element"], found["motif"]), found["bound"])
    return -np.expm1(-load)


def test_a_seed_gives_one_world_of_anchored_moments_in_which_repressors_repress(worlds, world):
    one, again, other = draw_world(7), draw_world(7), draw_world(8)
    assert (one.program.coefficients == again.program.coefficients).all()
    assert (one.reference == again.reference).all()
    assert (one.program.coefficients != other.program.coefficients).any()
    assert one.program.pairs == again.program.pairs != other.program.pairs
    for world in worlds:
        f = activity(world.features, world.program)
        assert f.mean() == pytest.approx(ANCHORS["activity_mean"], abs=1e-9)
        assert f.std() == pytest.approx(ANCHORS["activity_sd"], abs=1e-9)
    names = np.array(world.program.feature_names[: len(world.program.motifs)])
    for coefficients in (world.program.coefficients, world.other):
        assert set(names[coefficients[: len(names)] < 0]) == {"REST", "Gfi1B"}


def test_other_worlds_have_a_part_no_occupancy_explains(world):
    odd = draw_world(1, misspecified=True)
    assert odd.program.feature_names[-1] == "shape"
    here, there = (
        explained(w.features[:, :21], activity(w.features, w.program)) for w in (world, odd)
    )
    assert here > 0.98
    assert 0.6 < there < 0.85


class TestRealism:
    """What SCIENCE.md asks of a world: nothing saturates, nothing dominates, planting matters."""

    def test_few_elements_are_saturated_some_have_no_site_and_activity_is_skewed(self, worlds):
        for world in worlds:
            raw = responses(world.reference, world.program)[:, : len(world.program.motifs)]
            assert (raw > 0.95).mean(axis=0).max() < 0.2
            none = (simulate(world, 10_000, 1).metadata["n_sites"] == 0).mean()
            assert 0.1 < none < 0.3
            assert 0 < pd.Series(activity(world.features, world.program)).skew() < 1.5

    def test_no_motif_explains_more_than_35_percent(self, worlds):
        for world in worlds:
            motifs = world.features[:, : len(world.program.motifs)].T
            other = apply(Shift("cell_type", 1.0), world, Assay()).program
            for program in (world.program, other):
                f = activity(world.features, program)
                assert max(np.corrcoef(motif, f)[0, 1] ** 2 for motif in motifs) < 0.35

    def test_planted_sites_explain_half_to_four_fifths(self, worlds):
        for world in worlds:
            data, motifs = simulate(world, 10_000, 1), len(world.program.motifs)
            planted = planted_responses(world, data.codes, 1)
            pairs = responses(data.codes, world.program)[:, motifs : motifs + 4]
            assert 0.5 < explained(np.hstack([planted, pairs]), data.truth.activity) < 0.8

    def test_one_site_moves_activity_as_in_the_real_assay(self, world, rng):
        # Retina: all CRX sites of a peak together, median 0.37 s.d.; here: one planted site
        sites = planted_sites(world, 4000, 1).drop_duplicates("element")
        codes = simulate(world, 4000, 1).codes
        broken = codes.copy()
        for site in sites.itertuples():
            at = site.element, slice(site.start, site.end)
            broken[at] = rng.permutation(codes[at])
        moved = np.abs(reread(codes, world.program) - reread(broken, world.program))
        median = np.median(moved[sites["element"]]) / ANCHORS["activity_sd"]
        assert ANCHORS["site_effect"] / 3 < median < ANCHORS["site_effect"] * 3
