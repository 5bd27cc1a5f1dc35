import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lib.experiments import structural_priors


def errors_by_hand(priors, worlds=(0, 1, 2), **more):
    """RMSE against f by prior: one value per world, or one for all."""
    rows = [
        {"prior": prior, "replicate": world, "metric": "rmse_f", "value": value, "severity": 0.0}
        for prior, errors in priors.items()
        for world, value in zip(worlds, np.broadcast_to(errors, len(worlds)), strict=True)
    ]
    keys = {"data": "simulation", "model": "net", "n_train": 100}
    keys |= {"split": "test", "shift": "", "family": "", "condition": "", "cell": ""}
    return pd.DataFrame(rows).assign(**keys | more)


def noisy(priors, **more):
    """The same of networks trained at the highest noise."""
    keys = {"split": "matched", "shift": "noise", "cell": "noise 1", "severity": 1.0}
    return errors_by_hand(priors, **keys | more)


def by_effect(rows):
    return pd.DataFrame(rows).set_index("effect")


def test_ratios_are_geometric_means_against_none_and_both_placebos():
    errors = errors_by_hand({"permuted": [1.0, 2.0, 4.0], "motif_decoy": [0.5, 1.6, 3.6]})
    table = pd.DataFrame(structural_priors.prior_effects(errors))
    row = table.set_index("prior").loc["motif_decoy"]
    logs = np.log([0.5, 0.8, 0.9])
    ends = logs.mean(), *ttest_1samp(logs, 0).confidence_interval(0.95)
    assert row[["value", "lower", "upper"]].tolist() == pytest.approx(np.exp(ends))
    assert (table["against"] == "permuted").all()  # no network without a prior is here
    names = ("none", "motif_decoy", "permuted", "motif_unrelated")
    table = pd.DataFrame(structural_priors.prior_effects(errors_by_hand(dict.fromkeys(names, 1.0))))
    decoys = table[table["prior"] == "motif_decoy"]
    assert set(decoys["against"]) == set(names) - {"motif_decoy"}


def test_the_gain_ends_between_the_sizes_where_it_falls_to_three_percent():
    # ln ratio rises by ln 10 · 0.1 per tenfold: .97 · 10^(-.1), .97 · 10^0, .97 · 10^.1
    sizes = {100: -0.1, 1_000: 0.0, 10_000: 0.1}
    decoys = {n: 0.97 * 10**power for n, power in sizes.items()}
    frames = [errors_by_hand({"none": 1.0, "motif_decoy": e}, n_train=n) for n, e in decoys.items()]
    # A world without the largest size says nothing of either.
    frames.append(errors_by_hand({"none": 1.0, "motif_decoy": 0.1}, (7,), n_train=100))
    found = by_effect(structural_priors.size_effects(pd.concat(frames)))
    assert found["value"].to_dict() == pytest.approx({"gain_ends_at": 1_000})
    assert (found["n"] == 3).all() and (found["against"] == "none").all()
    frames = [errors_by_hand({"none": 2.0, "motif_decoy": 1.0}, n_train=n) for n in (10, 100, 1000)]
    found = by_effect(structural_priors.size_effects(pd.concat(frames))).loc["gain_ends_at"]
    assert (found["value"], found["lower"], found["upper"]) == (np.inf, 0, np.inf)


def test_robustness_beyond_accuracy_is_measured_from_the_line():
    # Without a prior the shifted error is three times that in distribution, at three sizes.
    nets = [("none", 100, 1.0, 3.0), ("none", 50, 2.0, 6.0), ("none", 25, 4.0, 12.0)]
    # The prior halves the error in distribution, and that under shift to a quarter.
    nets.append(("motif_decoy", 100, 0.5, 0.75))
    places = {"": "test", "gc 0.5": "shifted"}
    errors = pd.concat(
        errors_by_hand({prior: error}, n_train=size, cell=cell, split=places[cell])
        for prior, size, *both in nets
        for cell, error in zip(places, both, strict=True)
    )
    table = pd.DataFrame(structural_priors.line_effects(errors, 100))
    assert table["value"].tolist() == pytest.approx([0.75 / 1.5])


def test_gains_at_noise_and_under_shifts_are_shares_of_squared_error():
    def shifted(ratio, cell):
        both = {"permuted": 2.0, "motif_decoy": 2.0 * ratio}
        return errors_by_hand(both, split="shifted", cell=cell)

    errors = [shifted(0.5, "gc 0.5"), shifted(1.0, "cell_type 0.5"), shifted(0.6, "noise 1")]
    errors.append(noisy({"permuted": 2.0, "motif_decoy": 2.0 * 0.5**0.5}))
    named = ["gc 0.5", "cell_type 0.5"]
    found = by_effect(structural_priors.noise_effects(pd.concat(errors), 100, named))
    assert found["value"].to_dict() == pytest.approx(
        {
            "gain_at_noise": 0.5,  # 1 - 1/2
            "gain_at_test_noise": 1 - 0.36,
            "gain_under_shifts": (0.75 + 0) / 2,
            "gain_at_noise_beyond_half": 0.5 - 0.375 / 2,
        }
    )


def test_noisy_labels_are_matched_by_as_many_clean_ones_as_leave_the_same_error():
    # Without a prior 2 at 100 and 1 at 10,000: halfway in logarithms, √2, lies at 1,000.
    # The prior's ratio is 1/4 at 100 and 1 at 10,000: 1/2 at 1,000, a gain of 1 - 1/4.
    clean = [
        errors_by_hand({"none": 2.0, "motif_decoy": 0.5}, n_train=100),
        errors_by_hand({"none": 1.0, "motif_decoy": 1.0}, n_train=10_000),
    ]
    worlds = [noisy({"none": 2**0.5, "motif_decoy": 0.5**0.5}, n_train=10_000)]  # gain 1 - 1/4
    found = by_effect(structural_priors.matched_effects(pd.concat([*clean, *worlds]), 10_000))
    expected = {"clean_n": 1_000, "gain_at_clean_n": 0.75, "gain_at_noise_beyond_clean": 0.0}
    assert found["value"].to_dict() == pytest.approx(expected)
    # Where no clean sample is as bad a world says nothing of the gain there.
    worlds = [noisy({"none": [3.0, 2**0.5, 2**0.5], "motif_decoy": 1.0}, n_train=10_000)]
    found = by_effect(structural_priors.matched_effects(pd.concat([*clean, *worlds]), 10_000))
    names = ["clean_n", "gain_at_clean_n", "gain_at_noise_beyond_clean"]
    assert found.loc[names, "n"].tolist() == [3, 2, 2]
    assert found.loc["gain_at_noise_beyond_clean", "value"] == pytest.approx(0.5 - 0.75)
