"""The page of an audit: it says what the tables say, and a stranger's names are text."""

import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.data import predictions
from lib.experiments.audit_table import prepare
from lib.experiments.audit_your_own import Config, audit
from lib.page.card import lights
from lib.study import results
from tests.shown import drawn, render, tables

N = 1200
Z90 = 1.6448536269514722
KINDS = ("calibrated", "overconfident", "cautious", "constant", "flawless")


def forecasts(kind="calibrated"):
    """A forecaster of targets y = signal + noise, whose standard deviations it knows or not."""
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=N), rng.uniform(0.5, 1.5, N)
    target = signal + noise * rng.normal(size=N)
    mean = {"flawless": target, "constant": np.zeros(N)}.get(kind, signal)
    factor = {"overconfident": 0.5, "cautious": 2}.get(kind, 1)
    std = np.full(N, target.std()) if kind == "constant" else factor * noise
    place = np.arange(N) % 4
    split = np.array(["calibration", "test", "test", "shifted"])[place]
    columns = {"target": target, "mean": mean, "std": std, "group": np.arange(N), "split": split}
    shift = np.where(place == 3, "heat_<b>", "")
    return pd.DataFrame({"id": np.arange(N).astype(str), **columns, "shift": shift})


def page(folder, frames, **config):
    """What the cells show of tables that were written there."""
    found = audit([prepare(frame, data) for data, frame in frames.items()], draws=100)
    asked = Config.create(**config)
    entry = {"config": asked.model_dump(mode="json"), "config_hash": asked.hash}
    rows = found.rows.assign(experiment=asked.experiment, profile=asked.profile)
    tables = {name: table for name, table in found.tables.items() if len(table)}
    results.write(folder, asked.experiment, rows, tables, entry)
    return render("08_audit_your_own", tables_from=str(folder))


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    frames = {kind: forecasts(kind) for kind in KINDS}
    return page(tmp_path_factory.mktemp("tables"), frames, predictions="mine.csv")


@pytest.fixture(scope="module")
def said(shown):
    """The answer, by forecaster."""
    answer = next(text for text in shown if "In plain words" in text)
    parts = re.split(r"\*\*(\w+)\*\*, in distribution, 600 rows:", answer)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def in_distribution(kind):
    part = forecasts(kind).query("split == 'test'")
    return part, ((part["target"] - part["mean"]) / part["std"]).to_numpy()


def test_a_forecaster_that_knows_its_noise_is_told_so(said):
    part, z = in_distribution("calibrated")
    text = said["calibrated"]
    assert f"r = {np.corrcoef(part['mean'], part['target'])[0, 1]:.2f} (" in text
    held = f"{(np.abs(z) <= Z90).mean():.3f}"
    assert re.search(rf"hold {held} \([\d. to]+\) of the targets, which fits the 0\.90", text)
    assert "std is of the size of the errors" in text
    assert f"mean squared z is {(z**2).mean():.2f} (" in text
    assert "perfect forecasters of this size would show" in text


def test_others_are_told_by_how_much(said):
    # Half the std: 90 % intervals hold 2 Phi(1.645 / 2) - 1 = .589 of the targets.
    narrow = said["overconfident"]
    held = re.search(r"hold (0\.\d+) \([\d. to]+\) of the targets, fewer than the 0\.90", narrow)
    assert float(held[1]) == pytest.approx(0.589, abs=0.06)
    _, z = in_distribution("overconfident")
    assert f"std is {np.sqrt((z**2).mean()):.2f} times too small on the whole" in narrow
    assert re.search(r"one factor on the std brings coverage to 0\.(8[6-9]|9[0-4])", narrow)
    wide = said["cautious"]
    assert "more than the 0.90 promised" in wide
    factor = re.search(r"std is (\d\.\d\d) times too large on the whole", wide)
    assert float(factor[1]) == pytest.approx(2, rel=0.1)


def test_what_cannot_be_computed_is_said_in_words_and_a_strangers_names_are_text(said, shown):
    assert "there is no correlation to speak of" in said["constant"]
    assert "std is of the size of the errors" in said["constant"]
    assert "There are no errors at all" in said["flawless"] and "r = 1.00" in said["flawless"]
    assert not any("nan" in text for text in said.values())
    assert any("no pairs" in text for text in shown)
    assert any("pair and condition" in text for text in shown)
    assert any("200,000 rows" in text for text in shown)
    assert all("heat\\_\\<b\\>" in text for text in said.values())
    assert not any("<b>" in text.replace("\\<b\\>", "") for text in shown)
    assert sum("heat_&lt;b&gt;" in text for text in shown) >= 5
    assert not any("not for conclusions" in text for text in shown)  # a table of one's own


def test_tables_and_figures_show_the_forecasts(shown):
    figures = drawn(shown)
    part, z = in_distribution("calibrated")
    held = (np.abs(z) <= Z90).mean()
    r = np.corrcoef(part["mean"], part["target"])[0, 1]
    accuracy = next(table for table in tables(shown) if "Pearson r" in table)
    assert f"calibrated\nin distribution\n600\n{r:.2f} (" in accuracy
    assert f"{np.sqrt(((part['target'] - part['mean']) ** 2).mean()):.2f} (" in accuracy
    home = "data == 'calibrated' and part == 'in distribution'"
    pit = figures["pit"].query(home)
    assert (pit["density"] * 2 * pit["PIT"].min()).sum() == pytest.approx(1, abs=1e-3)
    given = figures["repair"].query(f"{home} and repair == 'as given'")
    for table in (figures["parts"].query(home), given):
        assert table["value"].item() == pytest.approx(held, abs=1e-4)
    covered = figures["conditional-coverage"]
    covered = covered.query("panel == 'calibrated, by predicted std' and part == 'in distribution'")
    assert (covered["coverage"] * covered["n"]).sum() / 600 == pytest.approx(held, abs=1e-3)
    risk = figures["risk-coverage"]
    assert risk.loc[risk["coverage"] == 1, "risk"].round(3).eq(1).all()
    # Of each data set a panel, as far as there is room.
    assert set(risk["panel"]) == {f"{kind}, in distribution" for kind in KINDS[:4]}


def test_a_poor_table_switches_sections_off(tmp_path):
    frame = forecasts().query("split == 'test'").head(12)
    frame = frame.assign(split="shifted", shift="gc_tilt +1 SD")
    shown = page(tmp_path, {"2024": frame}, dataset="standin")
    text = "\n".join(shown)
    assert "**2024**, GC tilt \\+1 SD, 12 rows" in text and "not for conclusions" in text
    assert "No repair could be learned" in text and "No threshold could be fixed" in text
    data = [*tables(shown), *(figure.to_csv() for figure in drawn(shown).values())]
    assert data and not any(re.search(r"\bnan\b", table) for table in data)


def test_the_page_opens_with_a_card_for_each_forecaster(shown):
    """Half the std where errors are as large: 90 % intervals hold .59, and 2 mends them."""
    cards = [BeautifulSoup(text, "html.parser").get_text(" ") for text in shown]
    cards = [text for text in cards if "Sure where it is right?" in text and "Accurate?" in text]
    assert [text.split(",")[0].strip() for text in cards[: len(KINDS)]] == ["mine.csv"] * len(KINDS)
    assert "600 rows" in cards[0]
    narrow = cards[KINDS.index("overconfident")]
    factor = re.search(r"multiply std by (\d\.\d\d)", narrow)
    assert float(factor[1]) == pytest.approx(2, rel=0.1)
    assert "multiply" not in cards[KINDS.index("calibrated")]
    assert "no errors at all" in cards[KINDS.index("flawless")]


def test_the_sample_table_has_the_mistake_that_its_card_finds(root):
    """Its std is six tenths of what would be right."""
    table, notes = predictions.read(root / "book" / "sample_forecasts.csv")
    found = audit([prepare(table, "sample")], draws=100)
    home = found.rows[(found.rows["by"] == "") & (found.rows["shift"] == "")]
    made = lights(home, found.tables["effects"].query("target == 'measured' and shift == 'none'"))
    assert (len(table), notes) == (800, [])
    assert made["Calibrated?"].answer == "no"
    factor = re.search(r"multiply std by (\d\.\d\d)", made["Calibrated?"].remedy)
    assert float(factor[1]) == pytest.approx(1 / 0.6, rel=0.1)
