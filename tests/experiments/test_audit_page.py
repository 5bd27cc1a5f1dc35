"""What the page of an audit says: words and tables that agree with the tables behind them."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

from lib.experiments import audit_measures, audit_page, audit_page_use
from lib.experiments.audit_answer import answer, limits, notes
from lib.experiments.audit_table import prepare
from lib.experiments.audit_your_own import Config, audit, chapter_rows

N = 1200
PARTS = ("in distribution", "heat_<b>")
ASKED = Config.create(predictions="mine.csv")


def forecasts(kind="calibrated", n=N):
    """A forecaster of targets y = signal + noise, whose standard deviations it knows or not."""
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=n), rng.uniform(0.5, 1.5, n)
    target = signal + noise * rng.normal(size=n)
    mean, std = signal, noise
    if kind == "overconfident":
        std = noise / 2
    if kind == "cautious":
        std = noise * 2
    if kind == "constant":
        mean, std = np.zeros(n), np.full(n, target.std())
    if kind == "flawless":
        mean = target
    place = np.arange(n) % 4
    return pd.DataFrame(
        {
            "id": np.arange(n).astype(str),
            "target": target,
            "mean": mean,
            "std": std,
            "group": np.arange(n),
            "split": np.array(["calibration", "test", "test", "shifted"])[place],
            "shift": np.where(place == 3, "heat_<b>", ""),
        }
    )


def audited(frame):
    return audit([prepare(frame, "mine")], draws=100)


@cache
def found_of(kind):
    return audited(forecasts(kind))


@pytest.fixture(autouse=True, scope="module")
def few_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_measures, "PERMUTATIONS", 20)
        patch.setattr(audit_measures, "COMPARED_ROWS", 100)
        yield


@pytest.fixture(scope="module")
def found():
    return found_of("calibrated")


def said(kind):
    return answer(found_of(kind), ASKED).data


def in_distribution(frame):
    part = frame[frame["split"] == "test"]
    return part, ((part["target"] - part["mean"]) / part["std"]).to_numpy()


def test_a_forecaster_that_knows_its_noise_is_told_so():
    text = said("calibrated")
    part, z = in_distribution(forecasts())
    assert f"**mine**, in distribution, {len(part)} rows" in text
    r = np.corrcoef(part["mean"], part["target"])[0, 1]
    assert f"r = {r:.2f} (" in text
    held = (np.abs(z) <= 1.6448536269514722).mean()
    assert re.search(rf"hold {held:.2f} \([\d. to]+\) of the targets, which fits the 0\.90", text)
    assert "std is of the size of the errors" in text
    assert f"mean squared z is {(z**2).mean():.2f} (" in text
    assert "perfect forecasters of this size would show" in text


def test_an_overconfident_one_is_told_by_how_much():
    text = said("overconfident")
    _, z = in_distribution(forecasts("overconfident"))
    # Half the std: 90 % intervals hold 2 Phi(1.645 / 2) - 1 = .589 of the targets.
    held = re.search(r"hold (0\.\d\d) \([\d. to]+\) of the targets, fewer than the 0\.90", text)
    assert float(held[1]) == pytest.approx(0.589, abs=0.06)
    assert f"std is {np.sqrt((z**2).mean()):.2f} times too small on the whole" in text
    assert re.search(r"one factor on the std brings coverage to 0\.(8[6-9]|9[0-4])", text)


def test_a_cautious_one_is_told_so():
    text = said("cautious")
    assert "more than the 0.90 promised" in text
    factor = re.search(r"std is (\d\.\d\d) times too large on the whole", text)
    assert float(factor[1]) == pytest.approx(2, rel=0.1)


def test_a_constant_one_has_no_correlation_and_no_nan():
    text = said("constant")
    assert "there is no correlation to speak of" in text and "nan" not in text
    assert "std is of the size of the errors" in text


def test_one_without_errors_has_a_std_that_is_too_large():
    text = said("flawless")
    assert "There are no errors at all" in text and "nan" not in text
    assert "r = 1.00" in text and "more than the 0.90 promised" in text


def test_names_are_text_in_markdown(found):
    assert "heat\\_\\<b\\>" in answer(found, ASKED).data
    assert "<b>" not in answer(found, ASKED).data.replace("\\<b\\>", "")


def test_a_pooled_value_is_not_held_against_the_band_of_one_split():
    """Two splits: the value is their mean, the band that of the first."""
    both = [prepare(forecasts(), "mine"), prepare(forecasts("overconfident"), "mine", split_seed=1)]
    text = answer(audit(both, draws=100), ASKED).data
    assert "perfect forecasters of this size" not in text


def test_rows_without_an_interval_are_judged_by_the_band(found):
    rows = found.rows.copy()
    rows[["lower", "upper"]] = np.nan
    text = answer(found._replace(rows=rows), ASKED).data
    assert "which fits the 0.90 promised" in text
    low = found_of("overconfident")
    rows = low.rows.copy()
    rows[["lower", "upper"]] = np.nan
    assert "fewer than the 0.90 promised" in answer(low._replace(rows=rows), ASKED).data


def cell(table, column, **keys):
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table[column].item()


def test_scores_shown_are_those_of_the_forecast(found):
    shown = audit_page.score_table(found).data
    part, _ = in_distribution(forecasts())
    error = np.sqrt(((part["target"] - part["mean"]) ** 2).mean())
    assert cell(shown, "RMSE", part="in distribution").startswith(f"{error:.2f} (")
    assert cell(shown, "rows", part="in distribution") == len(part)
    assert set(shown["part"]) == {"in distribution", "heat_<b>"}


def test_readings_follow_from_the_bands():
    shown = audit_page.calibration_table(found_of("overconfident")).data
    assert (
        cell(shown, "value lies", part="in distribution", metric="mean squared z (ZMS)") == "above"
    )
    covered = "coverage of 90 % intervals"
    assert cell(shown, "value lies", part="in distribution", metric=covered) == "below"
    for _, row in shown[shown["perfect forecaster"] != ""].iterrows():
        low, high = (float(end) for end in row["perfect forecaster"].split(" to "))
        value = float(row["value"])
        words = "below" if value < low else "above" if value > high else "within"
        if min(abs(value - low), abs(value - high)) > 1e-3:  # printed to three decimals
            assert row["value lies"] == words


def test_figures_plot_the_tables(found):
    pit = audit_page.pit_figure(found).data
    width = 2 * pit["PIT"].min()
    for _, part in pit.groupby("part"):
        assert (part["density"] * width).sum() == pytest.approx(1, abs=1e-3)
    part, z = in_distribution(forecasts())
    for figure in (audit_page.part_figure(found), audit_page_use.repair_figure(found)):
        first = figure.data[figure.data["part"] == "in distribution"].iloc[0]
        assert first["value"] == pytest.approx((np.abs(z) <= 1.6448536269514722).mean(), abs=1e-4)
    covered = audit_page.coverage_figure(found).data
    one = covered[(covered["part"] == "in distribution") & covered["panel"].str.contains("std")]
    assert (one["coverage"] * one["n"]).sum() / len(part) == pytest.approx(
        (np.abs(z) <= 1.6448536269514722).mean(), abs=1e-3
    )
    risk = audit_page_use.risk_figure(found).data
    assert risk.loc[risk["coverage"] == 1, "risk"].round(3).eq(1).all()


def test_each_data_set_has_its_panels_of_risk():
    both = [prepare(forecasts(), "mine"), prepare(forecasts("overconfident"), "yours")]
    panels = audit_page_use.risk_figure(audit(both, draws=100)).data["panel"]
    shown = {f"{data}, {part}" for data in ("mine", "yours") for part in PARTS}
    assert set(panels) == shown


def test_the_worst_bin_is_one_of_several(found):
    shown = audit_page.worst_table(found).data
    assert len(shown) and "size of the group" not in set(shown["by"])  # all groups have one row
    assert (shown["rows"] < N / 4).all()


def test_no_table_shows_a_number_that_is_none(found):
    tables = [audit_page.score_table, audit_page.calibration_table, audit_page.bin_table]
    tables += [audit_page.worst_table, audit_page_use.repair_table, audit_page_use.rank_table]
    tables += [audit_page_use.threshold_table, audit_page_use.detection_table]
    for table in tables:
        html = table(found)._repr_html_()
        assert "nan" not in html and "&lt;b&gt;" in html and "<b>" not in html


def test_a_tilt_of_notebook_02_is_named_for_readers_and_a_shift_of_ones_own_is_not():
    frame = forecasts().replace({"shift": {"heat_<b>": "gc_tilt +1 SD"}})
    found = audited(frame)
    whole = audit_page.score_table(found).data["part"]
    moved = found.rows["shift"] != ""
    rows = found.rows.assign(
        shift=np.where(moved, "gc_tilt", ""), condition=np.where(moved, "+1 SD", "")
    )
    split = audit_page.score_table(found._replace(rows=rows)).data["part"]
    assert set(whole) == set(split) == {"in distribution", "GC tilt +1 SD"}
    assert set(audit_page.pit_figure(found).data["part"]) == set(whole)
    assert audit_page.part_name("my_gc_tilt 1", "shifted") == "my_gc_tilt 1"


def test_what_cannot_be_said_is_said(found):
    assert "no pairs" in audit_page_use.pair_table(found).data
    assert "pair and condition" in notes(found).data
    assert "200,000 rows" in limits().data
    alone = audited(forecasts().query("split == 'test'").head(12))
    assert "No repair could be learned" in audit_page_use.repair_table(alone).data
    assert "No threshold could be fixed" in audit_page_use.threshold_table(alone).data


def test_the_line_on_the_chapter_counts_what_differs(found):
    rows = found.rows.assign(shift="", split="test").drop_duplicates(["metric", "by", "bin"])
    rows = rows[rows["n"].notna() & rows["value"].notna()]
    chapter = rows.assign(seed=None, split_seed=None)
    asked = Config.create(profile="full")
    same = found._replace(tables={"chapter": chapter_rows(rows, chapter)})
    count = len(rows)
    assert f"{count:,} rows of that chapter were found again, {count:,} of them equal" in (
        audit_page_use.chapter_line(same, asked).data
    )
    chapter.loc[chapter["metric"] == "rmse", "value"] *= 1.001
    other = found._replace(tables={"chapter": chapter_rows(rows, chapter)})
    assert audit_page_use.chapter_line(other, asked).data.endswith("Not equal: rmse.")
    assert "published page" in audit_page_use.chapter_line(found, ASKED).data
