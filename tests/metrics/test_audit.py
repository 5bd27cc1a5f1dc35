"""The audit: equal to the single metrics, complete, fast, and true to its file."""

import time

import numpy as np
import pandas as pd
import pytest

from lib.metrics import accuracy, audit, calibration, coverage, scoring, selective


def sample(n, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    mean, noise = rng.normal(size=(2, n))
    std = rng.uniform(0.3, 1.2, n)
    forecast = mean, std, mean + std * noise
    return tuple(np.round(v, digits) for v in forecast) if digits is not None else forecast


@pytest.mark.parametrize(("n", "digits"), [(1, None), (2, None), (47, None), (47, 1), (70_000, 2)])
def test_equals_the_single_functions(n, digits):
    mean, std, target = sample(n, digits=digits)
    std = np.maximum(std, 0.1)
    values = audit.all_metrics(mean, std, target, climatology=(0.1, 1.3))
    loss = (target - mean) ** 2
    expected = {}
    for name in ("pearson_r", "spearman_r", "rmse", "mae", "bias", "r2_cod", "r2_pearson"):
        expected[name] = getattr(accuracy, name)(mean, target)
    expected["sd_target"] = accuracy.sd_target(target)
    for name in ("pit_ks", "mace", "rmsce", "miscal_area", "ence", "uce", "zms", "zms_robust"):
        expected[name] = getattr(calibration, name)(mean, std, target)
    for name in ("zvar", "zve", "unc_error_spearman"):
        expected[name] = getattr(calibration, name)(mean, std, target)
    for name in ("nll_gaussian", "crps_gaussian", "check_score", "interval_score_mean"):
        expected[name] = getattr(scoring, name)(mean, std, target)
    expected["crps_skill"] = scoring.crps_skill(mean, std, target, (0.1, 1.3))
    for name in ("sharpness", "dispersion_cv"):
        expected[name] = getattr(calibration, name)(std)
    for level in audit.LEVELS:
        percent = round(100 * level)
        expected[f"picp_{percent}"] = coverage.picp(mean, std, target, level)
        expected[f"mpiw_{percent}"] = coverage.mpiw(std, level)
        expected[f"coverage_gap_{percent}"] = coverage.coverage_gap(mean, std, target, level)
        expected[f"interval_score_{percent}"] = scoring.interval_score(mean, std, target, level)
    for name in ("aurc", "e_aurc", "augrc", "prr", "naurc", "ause"):
        expected[name] = getattr(selective, name)(loss, std)
    assert set(values) == set(expected)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


# what a change of unit by a factor does to each metric; the rest stays as it is
SCALED = {"rmse", "mae", "bias", "sd_target", "crps_gaussian", "sharpness"}
SCALED |= {"check_score", "interval_score_mean"}
SQUARED = {"uce", "aurc", "e_aurc", "augrc"}


@pytest.mark.parametrize(("factor", "offset"), [(3.0, 0.0), (0.01, 5.0), (1.0, -1e4)])
def test_change_of_unit(factor, offset):
    mean, std, target = sample(500)
    before = audit.all_metrics(mean, std, target)
    after = audit.all_metrics(factor * mean + offset, factor * std, factor * target + offset)
    for name, value in before.items():
        if name == "nll_gaussian":
            expected = value + np.log(factor)
        elif name in SCALED or name.startswith(("mpiw", "interval_score")):
            expected = factor * value
        else:
            expected = factor**2 * value if name in SQUARED else value
        assert after[name] == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def test_order_of_rows_does_not_matter():
    mean, std, target = sample(300)
    std = np.round(std, 6)
    shuffled = np.random.default_rng(1).permutation(300)
    before = audit.all_metrics(mean, std, target)
    after = audit.all_metrics(mean[shuffled], std[shuffled], target[shuffled])
    assert after == pytest.approx(before, rel=1e-9)


def test_tables():
    mean, std, target = sample(3000)
    species = np.arange(3000) % 3
    result = audit.audit(mean, std, target, np.random.default_rng(0), by={"species": species})
    metrics = result.metrics.set_index("metric")
    assert metrics.loc["zms", ["band_lower", "shape_upper"]].notna().all()
    assert metrics.loc["rmse", ["band_lower", "shape_upper"]].isna().all()
    assert metrics["value"].notna().sum() >= 45 - 1  # all but crps_skill, which is absent
    assert set(result.coverage["by"]) == {"std_decile", "mean_decile", "species"}
    curve = selective.reference_curves((target - mean) ** 2, std)
    pd.testing.assert_frame_equal(result.curve, curve)
    assert len(result.pit) == 20
    assert len(result.std_bins) == 20
    again = audit.audit(mean, std, target, np.random.default_rng(0), by={"species": species})
    pd.testing.assert_frame_equal(result.metrics, again.metrics)


def test_bad_input():
    with pytest.raises(ValueError, match="no elements"):
        audit.all_metrics([], [], [])
    with pytest.raises(ValueError, match=r"std is 0.0 in row 0"):
        audit.audit([0], [0], [0], np.random.default_rng(0))


def test_reads_parquet(tmp_path):
    mean, std, target = sample(600_000)
    table = pd.DataFrame({"target": target, "id": np.arange(600_000), "mean": mean, "std": std})
    table.to_parquet(tmp_path / "p.parquet", row_group_size=70_000)
    read = audit.read_parquet(tmp_path / "p.parquet")
    for left, right in zip(read, (mean, std, target), strict=True):
        assert (left == right).all()
    table.drop(columns="std").to_parquet(tmp_path / "q.parquet")
    with pytest.raises(ValueError, match=r"lacks \['std'\]"):
        audit.read_parquet(tmp_path / "q.parquet")
    table.loc[5, "mean"] = None
    table.iloc[:10].to_parquet(tmp_path / "r.parquet")
    with pytest.raises(ValueError, match="mean is nan in row 5"):
        audit.all_metrics(*audit.read_parquet(tmp_path / "r.parquet"))


def test_audit_of_100k_is_quick():
    forecast = sample(100_000)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        audit.audit(*forecast, np.random.default_rng(0))
        seconds.append(time.process_time() - start)
    assert min(seconds) < 2
