import pytest

from lib.experiments import mpra_gc_ood, selective_prediction, simulation_shifts, uncertainty_repair

EXPERIMENT = selective_prediction


def test_noise_at_test_only_leaves_risk_against_the_truth_as_it_was(found):
    """By construction: the forecast and the noise-free activity are the same elements'."""
    rows = found.rows
    rows = rows[(rows["data"] == "simulation") & (rows["split"] != "matched")]
    home, noisy = rows[rows["shift"] == ""], rows[rows["shift"] == "noise"]
    for metric in ("risk_f", "aurc_f", "prr_f"):
        pair = [side.set_index(["metric", "bin"])["value"] for side in (home, noisy)]
        assert pair[0][metric].to_numpy() == pytest.approx(pair[1][metric].to_numpy())
    measured = [side[side["metric"] == "risk"]["value"].item() for side in (home, noisy)]
    assert measured[1] > 1.5 * measured[0]
    bounded = found.rows.dropna(subset="lower")
    assert (bounded["lower"] <= bounded["upper"]).all() and "standin" in set(bounded["data"])


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
@pytest.mark.parametrize("page", [selective_prediction, uncertainty_repair])
def test_fits_are_those_of_notebooks_01_and_02(page, profile):
    """Otherwise a run after these two would train everything once more."""
    own, worlds = (module.Config.create(profile=profile) for module in (page, simulation_shifts))
    assays = mpra_gc_ood.Config.create(profile=profile)
    assert own.parts == worlds.parts and own.epochs == worlds.epochs
    assert set(own.world_seeds) <= set(worlds.world_seeds)
    assert own.assays.design.fit == assays.design.fit
    assert set(own.assays.seeds) <= set(assays.seeds)
    shared = ("folds", "split_seed", "gc_quantile", "gc_tilts", "dataset", "standin_size")
    for name in shared:
        assert getattr(own.assays, name) == getattr(assays, name)
