import warnings

import numpy as np
import pandas as pd
import pytest

from lib.experiments import audit_measures, audit_your_own, mpra_gc_ood
from lib.experiments.audit_table import prepare
from lib.experiments.audit_your_own import (
    Config,
    as_rename,
    audit,
    derive,
    run,
)
from lib.sequences import decode
from lib.study import results
from lib.study.config import ParameterError
from lib.study.units import Store


def table(n=300, seed=0, **columns):
    """Forecasts whose errors have the predicted std, in pairs of relatives."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=n), np.exp(0.3 * rng.normal(size=n))
    base = {"id": np.arange(n).astype(str), "mean": mean, "std": std}
    base |= {"target": mean + std * rng.normal(size=n), "group": np.arange(n) // 2}
    return pd.DataFrame(base | columns)


def parts(n=300):
    """A calibration part, one in distribution and one shifted; relatives stay together."""
    place = (np.arange(n) // 2) % 3
    split = np.array(["calibration", "test", "shifted"])[place]
    return {"split": split, "shift": np.where(place == 2, "heat", "")}


def audited(frame, **more):
    return audit([prepare(frame, "mine", **more)], draws=100)


def value(rows, metric, shift="", by=""):
    kept = rows[(rows["metric"] == metric) & (rows["shift"] == shift) & (rows["by"] == by)]
    assert len(kept) == 1
    return kept.iloc[0]


@pytest.fixture(autouse=True, scope="module")
def few_permutations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_measures, "PERMUTATIONS", 150)
        patch.setattr(audit_measures, "COMPARED_ROWS", 300)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def chapter(store):
    """Notebook 02 on the stand-in, and the audit of its networks."""
    theirs = mpra_gc_ood.run(mpra_gc_ood.Config.create(profile="smoke", workers=1), store)
    config = Config.create(profile="smoke", workers=1)
    return theirs, run(config, store)


def test_our_own_networks_give_the_values_of_their_chapter(chapter):
    theirs, ours = chapter
    keys = ["shift", "condition", "metric", "by", "bin"]
    rows = theirs.rows[theirs.rows["seed"].isna() & theirs.rows["split_seed"].isna()]
    rows = rows[(rows["uncertainty"] == "ensemble") & rows["split"].isin(["test", "shifted"])]
    both = ours.rows.merge(rows[rows["model"] == "cnn"], on=keys)
    assert set(both["condition"]) == {"", *(f"{sd:+g} SD" for sd in (0.5, 1.0, 1.5))}
    assert {"rmse", "pearson_r", "crps_skill", "zms", "picp_90", "ence"} <= set(both["metric"])
    assert (both["by"] == "gc_decile").any()
    assert np.allclose(both["value_x"], both["value_y"], rtol=1e-12, equal_nan=True)
    assert (both["n_x"] == both["n_y"]).all()


def test_rows_name_shift_condition_and_severity_as_the_chapter_does(chapter):
    keys = ["split", "shift", "family", "severity", "condition"]
    sides = []
    for rows in (chapter[1].rows, chapter[0].rows):
        rows = rows[(rows["metric"] == "rmse") & (rows["by"] == "")]
        rows = rows[(rows["uncertainty"] == "ensemble") & (rows["model"] == "cnn")]
        rows = rows[rows["shift"].isin(["", "gc_tilt"]) & rows["split"].isin(["test", "shifted"])]
        rows = rows[rows["condition"] != "one strand"]
        sides.append(set(rows[keys].drop_duplicates().itertuples(index=False, name=None)))
    assert sides[0] == sides[1] and len(sides[0]) == 4


def test_the_chapter_needs_no_fit_of_its_own(chapter):
    assert chapter[1].standin
    assert chapter[1].entry["fits"] > 0 and chapter[1].entry["fits_computed"] == 0


def test_the_same_forecasts_through_a_file(chapter, store, tmp_path):
    """A table written and read gives what the networks gave, the interval included."""
    ours = chapter[1]
    config = Config.create(profile="smoke", workers=1)
    _, (first,), _ = audit_your_own.network_forecasts(config.networks, store)
    frame = first.table.assign(id=np.arange(len(first.table)).astype(str), shift="")
    frame["split"] = "calibration"
    for part in first.parts:
        shift = part.name if part.keys["shift"] else ""
        frame.loc[part.rows, ["split", "shift"]] = part.keys["split"], shift
    frame.to_csv(tmp_path / "mine.csv", index=False)
    again = Config.create(
        profile="smoke", workers=1, predictions=str(tmp_path / "mine.csv"), by=["gc_decile"]
    )
    rows = run(again, store).rows
    shift = "gc_tilt +0.5 SD"
    whole = ours.rows.assign(shift=(ours.rows["shift"] + " " + ours.rows["condition"]).str.strip())
    for metric in ("rmse", "zms", "picp_90", "crps_gaussian"):
        left, right = value(rows, metric, shift), value(whole, metric, shift)
        assert left["value"] == pytest.approx(right["value"], rel=1e-9)
        assert left["n"] == right["n"]


def test_an_assay_and_a_network_of_one_s_own(store, tmp_path, monkeypatch):
    (standin,) = mpra_gc_ood.load_data(
        mpra_gc_ood.Config.create(dataset="standin", standin_size=300)
    )
    frame = pd.DataFrame({"dna": decode(standin.codes), "y": standin.activity, "g": standin.group})
    frame.to_csv(tmp_path / "assay.csv", index=False)
    (tmp_path / "mynet.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, length, n_features):\n"
        "        super().__init__()\n"
        "        self.out = torch.nn.Linear(4, 2)\n"
        "    def forward(self, one_hot, features):\n"
        "        return self.out(one_hot.mean(dim=2))\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    named = {"sequence_column": "dna", "activity_column": "y", "group_column": "g"}
    config = Config.create(
        profile="smoke", table=str(tmp_path / "assay.csv"), model="mynet:Net", workers=1, **named
    )
    found = run(config, store)
    assert set(found.rows["data"]) == {"assay"} and set(found.rows["model"]) == {"mynet:Net"}
    assert found.entry["fits_computed"] == 2 and not found.standin
    assert set(found.rows["shift"]) == {"", "gc_tilt"}
    assert "+0.5 SD" in set(found.rows["condition"])


def test_values_are_those_of_the_definitions():
    frame = table(**parts())
    found = audited(frame)
    for shift, split in (("", "test"), ("heat", "shifted")):
        part = frame[frame["split"] == split]
        z = ((part["target"] - part["mean"]) / part["std"]).to_numpy()
        assert value(found.rows, "zms", shift)["value"] == pytest.approx((z**2).mean())
        covered = (np.abs(z) <= 1.6448536269514722).mean()
        assert value(found.rows, "picp_90", shift)["value"] == pytest.approx(covered)


def test_std_scaling_repairs_a_std_that_is_half_as_large_as_it_should_be():
    frame = table(3000, **parts(3000))
    frame["std"] /= 2
    found = audited(frame).tables["repairs"]
    found = found[(found["metric"] == "picp_90") & (found["split"] == "test")]
    coverage = found.set_index(["uncertainty", "variant"])["value"]
    # 2 Phi(1.645 / 2) - 1 = .589; after the repair .9 up to chance: 1,000 rows, s.d. .0095
    assert coverage["single", ""] == pytest.approx(0.589, abs=0.05)
    for repair in ("std_scaling", "isotonic", "norm_cp"):
        assert coverage[repair, ""] == pytest.approx(0.9, abs=0.04)


def test_without_calibration_rows_repairs_learn_from_other_groups():
    found = audited(table(400))
    repaired = found.tables["repairs"]
    assert set(repaired.loc[repaired["metric"] == "picp_90", "n"]) == {200}
    assert any("drawn at random in distribution" in note for note in found.tables["notes"]["note"])


def test_relatives_of_judged_rows_teach_no_repair():
    frame = table(300, **parts())
    frame.loc[frame["split"] == "calibration", "group"] += 1  # now those of the test part
    notes = audited(frame).tables["notes"]["note"]
    assert any("No repair: there are 0 groups" in note for note in notes)


def test_a_shift_of_what_is_seen_is_detected_and_a_shift_of_labels_is_not():
    frame = table(900, gc=np.random.default_rng(1).random(900), **parts(900))
    shifted = frame["shift"] == "heat"
    moved = frame.assign(gc=np.where(shifted, frame["gc"] * 0.5, frame["gc"]))
    worse = frame.assign(target=np.where(shifted, frame["target"] + 5, frame["target"]))
    for which, seen in ((moved, True), (worse, False)):
        p = audited(which).tables["detection"]
        p = p[(p["part"] == "heat") & (p["seen"] == "GC content")]["p"].dropna()
        assert (p.min() < 0.01) if seen else (p.min() > 0.01)


def test_pairs_are_decomposed():
    n = 100
    rng = np.random.default_rng(0)
    a = rng.normal(size=n)
    both = pd.concat(
        [
            table(n, pair=np.arange(n).astype(str), condition="cold", target=a, mean=a),
            table(n, pair=np.arange(n).astype(str), condition="warm", target=2 * a + 1, mean=a),
        ]
    )
    both["id"], both["noise_std"] = np.arange(2 * n).astype(str), 0.0
    found = audited(both.reset_index(drop=True)).tables["decomposition"].set_index("quantity")
    assert set(found["reference"]) == {"cold"} and set(found["condition"]) == {"warm"}
    assert found.loc["slope", "value"] == pytest.approx(2)
    assert found.loc["share_rewiring", "value"] == pytest.approx(0, abs=1e-9)
    # The forecast does not change: its error in the change is the change itself.
    assert found.loc["predicted_change_rmse", "value"] == found.loc["change_rmse", "value"]


@pytest.mark.parametrize(
    "frame",
    [
        table(3),
        table(1),
        table(60).assign(group="one"),
        table(60).assign(std=1.0),
        table(60).assign(mean=0.0),
        table(60).assign(target=0.0),
        table(60).assign(mean=0.0, target=0.0),
        table(60).drop(columns="group"),
        table(60).assign(gc=0.5),
        table(60, **parts(60)).assign(shift=""),
    ],
    ids=["n3", "n1", "group", "std", "mean", "target", "perfect", "no_group", "gc", "no_shift"],
)
def test_poor_tables_give_a_result(frame, tmp_path):
    frame.to_csv(tmp_path / "mine.csv", index=False)
    config = Config.create(profile="smoke", workers=1, predictions=str(tmp_path / "mine.csv"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(config, Store(tmp_path / "store"))
    part = frame[frame["split"] == "test"] if "split" in frame else frame
    rmse = float(np.sqrt(((part["target"] - part["mean"]) ** 2).mean()))
    rows = found.rows[(found.rows["shift"] == "") & (found.rows["split"] == "test")]
    assert rows.loc[(rows["metric"] == "rmse") & (rows["by"] == ""), "value"].item() == (
        pytest.approx(rmse)
    )
    results.write(tmp_path / "out", config.experiment, found.rows, found.tables, found.entry)
    for path in (tmp_path / "out").rglob("*.csv"):
        assert len(pd.read_csv(path))


def test_one_group_has_no_interval():
    rows = audited(table(60).assign(group="one")).rows
    assert np.isnan(value(rows, "rmse")[["lower", "upper"]].astype(float)).all()


def test_hostile_names_are_text_and_no_formula(tmp_path):
    evil = ["=cmd|' /C calc'!A0", "<script>alert(1)</script>"]
    frame = table(300, **parts()).assign(kind=np.array(evil)[np.arange(300) % 2])
    frame["shift"] = np.where(frame["shift"] == "heat", "=1+1", "")
    path = tmp_path / "@SUM(A1).csv"
    frame.rename(columns={"kind": "=kind"}).to_csv(path, index=False)
    config = Config.create(profile="smoke", workers=1, predictions=str(path), by=["=kind"])
    found = run(config, Store(tmp_path / "store"))
    results.write(tmp_path / "out", config.experiment, found.rows, found.tables, found.entry)
    written = list((tmp_path / "out").rglob("*.csv"))
    assert len(written) > 5
    cells = set()
    for file in written:
        cells |= set(pd.read_csv(file, dtype=str, keep_default_na=False).to_numpy().ravel())
    texts = [cell for cell in cells if not _number(cell)]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert {"'=1+1", "'@SUM(A1)", "'=cmd|' /C calc'!A0", "'=kind"} <= set(texts)


def _number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_large_parts_go_without_a_bootstrap(monkeypatch):
    frame = table(300, **parts())
    small = audited(frame).rows
    monkeypatch.setattr(audit_measures, "BOOTSTRAP_ROWS", 10)
    monkeypatch.setattr(audit_measures, "RANKED_ROWS", 50)
    large = audited(frame).rows
    for metric in ("rmse", "zms", "picp_90", "crps_skill", "ence", "mace", "prr"):
        left, right = value(large, metric), value(small, metric)
        assert left["value"] == pytest.approx(right["value"]) and np.isnan(left["lower"])
    kept = large[(large["by"] == "std_decile") & (large["metric"] == "picp_90")]
    again = small[(small["by"] == "std_decile") & (small["metric"] == "picp_90")]
    pair = kept.merge(again, on=["shift", "bin"])
    assert len(pair) == len(kept) >= 10 and np.allclose(pair["value_x"], pair["value_y"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"predictions": "a.csv", "table": "b.csv"}, "give one of predictions, table"),
        ({"predictions": "a.csv", "model": "cnn"}, "predictions need none"),
    ],
)
def test_one_way_in(given, message):
    with pytest.raises(ParameterError, match=message):
        _ = Config.create(**given).source


def test_rename_as_mapping_or_text():
    wanted = {"y": "target", "p": "mean"}
    assert as_rename(wanted) == as_rename("y=target,p=mean") == wanted
    assert as_rename(None) is None is as_rename("")
    with pytest.raises(ValueError, match="rename is 'y'"):
        as_rename("y")


def test_columns_of_an_assay_are_renamed_like_those_of_predictions():
    asked = Config.create(table="a.csv", rename="dna=sequence,y=activity").networks
    assert (asked.sequence_column, asked.activity_column) == ("dna", "y")
    with pytest.raises(ParameterError, match="unknown parameter 'activty_column'; did you mean"):
        _ = Config.create(table="a.csv", rename="y=activty").networks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": 0.0}, "'std' row 0 is 0.0, not"),
        ({"mean": np.nan}, "'mean' row 0 is ''"),
        ({"id": "same"}, "appears again in row 1"),
    ],
)
def test_bad_rows_give_one_error(tmp_path, change, message):
    path = tmp_path / "mine.csv"
    table(20).assign(**change).to_csv(path, index=False)
    config = Config.create(profile="smoke", predictions=str(path))
    with pytest.raises(ValueError, match=message):
        run(config, Store(tmp_path / "store"))


def test_names_of_columns_that_do_not_match_are_listed(tmp_path):
    path = tmp_path / "mine.csv"
    table(20).rename(columns={"target": "targets", "std": "sigma"}).to_csv(path, index=False)
    config = Config.create(profile="smoke", predictions=str(path))
    with pytest.raises(ValueError, match=r"no column 'target' \(did you mean 'targets'\?\), 'std'"):
        run(config, Store(tmp_path / "store"))
    config = Config.create(
        profile="smoke", workers=1, predictions=str(path), rename="targets=target,sigma=std"
    )
    assert len(run(config, Store(tmp_path / "store")).rows)


NONE = float("nan")


def derived(metric, value, lower=NONE, upper=NONE, band=(NONE, NONE), own=None, shift=""):
    rows = pd.DataFrame(
        {
            **{"data": ["mine"], "split": "shifted" if shift else "test", "shift": shift},
            **{"condition": "", "by": "", "metric": metric, "n": 100},
            **{"value": value, "lower": lower, "upper": upper},
        }
    )
    bands = pd.DataFrame(
        {
            **{"data": ["mine"], "part": shift or "in distribution", "metric": metric},
            **{"value": value if own is None else own},
            **{"band_lower": band[0], "band_upper": band[1]},
        }
    )
    tables = derive(rows, {"bands": bands})
    return tables["readings"].iloc[0], tables["bands"]["lies"].iloc[0]


@pytest.mark.parametrize(
    ("metric", "value", "lower", "upper", "band", "reading"),
    [
        ("picp_90", 0.88, 0.85, 0.91, (0.89, 0.91), "fits"),  # the interval knows of relatives
        ("picp_90", 0.80, 0.75, 0.85, (0.70, 0.95), "below"),
        ("picp_90", 0.97, 0.95, 0.99, (0.88, 0.92), "above"),
        ("zms", 1.5, 0.9, 2.1, (0.9, 1.1), "fits"),
        ("zms", 0.5, 0.4, 0.6, (0.9, 1.1), "below"),
        ("picp_90", 0.80, NONE, NONE, (0.88, 0.92), "below"),  # no interval: by the band
        ("picp_90", 0.90, NONE, NONE, (0.88, 0.92), "fits"),
        ("zms", 1.2, NONE, NONE, (0.9, 1.1), "above"),
        ("zms", 1.2, NONE, np.inf, (0.9, 1.1), "above"),
        ("zms", 9.0, NONE, NONE, (0.9, np.inf), "fits"),  # nor a band: nothing can be said
        ("zms", NONE, NONE, NONE, (0.9, 1.1), "fits"),
    ],
)
def test_a_value_is_told_from_what_was_promised(metric, value, lower, upper, band, reading):
    assert derived(metric, value, lower, upper, band)[0]["reading"] == reading


def test_a_value_pooled_over_splits_has_no_band():
    read, _ = derived("picp_90", 0.80, band=(0.88, 0.92), own=0.79)
    assert read["reading"] == "fits" and np.isnan(read["band_lower"])


def test_parts_are_those_of_the_bands():
    read, lies = derived("zms", 0.5, band=(0.9, 1.1), shift="heat_<b>")
    assert (read["part"], read["band_lower"], lies) == ("heat_<b>", 0.9, "below")


@pytest.mark.parametrize(
    ("value", "band", "lies"),
    [
        (1.0, (0.9, 1.1), "within"),
        (1.2, (0.9, 1.1), "above"),
        (0.8, (0.9, 1.1), "below"),
        (1.0, (NONE, 1.1), ""),
    ],
)
def test_where_a_value_lies(value, band, lies):
    assert derived("zms", value, band=band)[1] == lies
