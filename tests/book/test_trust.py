"""The tables of the pages on benchmarks and trust: what they say of files made by hand."""

import json

import pytest

from .test_extensions import load, render

MACHINE = {"processor": "Abacus, 2 cores"}
ASKED = (
    "name,what,ratio,against,rate,seconds,gigabytes\n"
    "train,training,3.5,,14000,,2\n"
    "train_1m,training on a million,0.9,train,,,\n"
    "audit,audit <b>,,,,2,\n"
    "scan,scan,,,,,\n"
    "later,not measured yet,,,,5,\n"
    "ci_all,all,,,,100,\n"
)


def row(name, unit, ours, **more):
    return {"name": name, "unit": unit, "ours": ours, "ratio": None} | more | MACHINE


ROWS = [
    row("train", "seq/s", 15000.0, peer=7500.0, peer_name="plain loop", ratio=2.0, peak_mib=1000.0),
    row("train_1m", "seq/s", 13200.0),
    row("audit", "s", 2.5),
    row("scan", "seq/s", 50.0, peer=100.0, peer_name="FIMO", ratio=0.5),
]


@pytest.fixture
def trust():
    return load("trust")


@pytest.fixture
def top(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "results" / "trust").mkdir(parents=True)
    (tmp_path / "benchmarks" / "asked.csv").write_text(ASKED, "utf-8")
    (tmp_path / "benchmarks" / "results.json").write_text(json.dumps(ROWS), "utf-8")
    return tmp_path


def test_shortfalls_beside_others_are_said_in_per_cent(trust, top):
    table, caption = trust.networks(top)
    lines = table.set_index("what")
    # 2 of 3.5 are 57 %; 13,200 of 15,000 are 0.88, which is 98 % of 0.9
    assert lines.loc["training", "outcome"] == "missed by 43%"
    assert lines.loc["training on a million", "times as fast"] == "0.88"
    assert lines.loc["training on a million", "outcome"] == "missed by 2%"
    assert lines.loc["training on a million", "against"] == "training"
    (scan,) = trust.peers(top)[0].to_dict("records")  # the audit has nothing to compare with
    told = [scan[name] for name in ("what", "times as fast", "asked", "outcome")]
    assert told == ["scan", "0.5", "", "not asked"]
    assert caption.endswith("Machine: Abacus, 2 cores.")


def test_what_both_kinds_of_processor_reach_stands_side_by_side(trust, top):
    """Of the one without bfloat16 less may be asked, and what it is held against is its own."""
    slow = row("train__avx2", "seq/s", 3000.0, peer=1000.0, peer_name="plain loop", ratio=3.0)
    more = [slow, row("train_1m__avx2", "seq/s", 2700.0), slow | {"name": "train__gpu"}]
    (top / "benchmarks" / "results.json").write_text(json.dumps([*ROWS, *more]), "utf-8")
    told = f"{ASKED}train__avx2,,2.4,,,,\ntrain__gpu,training,,,,,\n"
    (top / "benchmarks" / "asked.csv").write_text(told, "utf-8")
    table = trust.networks(top)[0]
    assert table["what"].tolist()[:4] == ["training"] * 2 + ["training on a million"] * 2
    assert trust.graphics(top)[0]["times as fast"].tolist() == ["3"]
    lines = table.set_index(["what", "processor"])
    assert lines.loc[("training", "without bfloat16"), "outcome"] == "reached"
    assert lines.loc[("training", "with bfloat16"), "outcome"] == "missed by 43%"
    assert lines.loc[("training on a million", "without bfloat16"), "times as fast"] == "0.9"


def test_limits_hold_from_their_own_side(trust, top):
    lines = trust.limits(top)[0].set_index(["what", "of"])
    assert lines.loc[("training", "rate"), "outcome"] == "reached"
    # 1,000 MiB are 1.05 GB
    memory = lines.loc[("training", "memory"), ["reached", "asked", "outcome"]]
    assert memory.tolist() == ["1.05 GB", "at most 2 GB", "reached"]
    assert lines.loc[("audit <b>", "time"), "outcome"] == "missed by 25%"
    assert "not measured yet" not in lines.index.get_level_values("what")


def test_a_benchmark_that_nobody_asked_about_is_noticed(trust, top):
    rows = [*ROWS, row("new", "s", 1.0)]
    (top / "benchmarks" / "results.json").write_text(json.dumps(rows), "utf-8")
    with pytest.raises(ValueError, match="no line for new"):
        trust.peers(top)


def test_a_ratio_that_was_asked_for_and_not_measured_is_said(trust, top):
    """A peer that is not installed leaves its row without a ratio, or out."""
    alone = row("train", "seq/s", 15000.0, peer=None, peer_name="plain loop (not installed)")
    for rows, ours in (([alone, *ROWS[1:]], "15,000 seq/s"), (ROWS[1:], "")):
        (top / "benchmarks" / "results.json").write_text(json.dumps(rows), "utf-8")
        line = trust.networks(top)[0].set_index("what").loc["training"]
        told = line[["ours", "theirs", "times as fast", "asked", "outcome"]]
        assert told.tolist() == [ours, "", "", "3.5", "not compared"]


def test_growth_names_the_largest_size_and_judges_both_slopes(trust, top):
    points = [{"n": n, "seconds": n / 1e3, "start_mib": 400.0, "peak_mib": 410.0} for n in (10, 20)]
    entry = {"what": "work", "points": points, "time_exponent": 1.21, "memory_exponent": None}
    share = {"bfloat16_flops": 3e9, "float32_flops": 1e9, "operations": {"train": 1e5}} | MACHINE
    content = {"work": entry | MACHINE, "share": share}
    (top / "benchmarks" / "growth.json").write_text(json.dumps(content), "utf-8")
    (line,) = trust.growth(top)[0].to_dict("records")
    assert line["elements"] == "20" and line["seconds"] == "0.02"
    assert line["exponent of time"] == "1.21, missed by 10%"
    assert line["exponent of memory"] == "too little growth to fit"
    assert len(trust.sizes(top)[0]) == 2
    # 15,000 sequences of 100,000 operations are 1.5e9 of 3e9
    assert trust.share(top)[0]["share of the peak"].tolist() == ["50%"]


def test_a_fault_that_went_wrong_is_loud(trust, top):
    text = "fault,happened,lost,held,profile,machine\nkill,went on,time,True,smoke,A\n"
    (top / "results" / "trust" / "faults.csv").write_text(text + "disk,x,y,False,smoke,A\n")
    table, caption = trust.faults(top)
    assert table["as promised"].tolist() == ["yes", "NO"] and caption.endswith("Machine: A.")


def test_pages_show_names_as_text_and_warn_of_what_is_not_recorded_unless_optional(top):
    asked = "limits", "growth", "fuzz", "share\n:optional:"
    text = "\n\n".join(f"```{{measured}} {name}\n```" for name in asked)
    page, warnings = render(top, "html", text, extensions="trust")
    assert "audit &lt;b&gt;" in page and "audit <b>" not in page
    assert "Not in this run." in page and "Not recorded yet." in page
    assert warnings.count("WARNING") == 2 and "results/trust/fuzz.csv does not exist" in warnings
    assert "benchmarks/growth.json does not exist; make bench writes it" in warnings


def test_what_was_computed_again_is_counted_by_outcome_and_a_twin_has_readers_names(trust, top):
    rows = [f"lib.a:fit_unit,mpra_gc_ood,{said},A" for said in trust.VERDICTS]
    text = "\n".join(["function,experiment,verdict,processor", *rows])
    (top / "results" / "trust" / "verify.csv").write_text(text, "utf-8")
    (line,) = trust.verified(top)[0].to_dict("records")
    assert [*line.values()] == ["A", "mpra gc ood", "fit", 1, 1, 1]
    head = "data,split,model,prior,shift,condition,by,seed,uncertainty,metric,value,lower,upper\n"
    text = "wtc11,test,cnn,none,,,,,ensemble,picp_90,{},.4,.6\n".format
    (top / "results" / "mpra_gc_ood.csv").write_text(head + text(0.5), "utf-8")
    (top / "results" / "trust" / "twin.csv").write_text(head + text(0.25), "utf-8")
    shown = trust.twin(top)[0].iloc[0].tolist()
    assert shown == ["WTC11", "CNN", "", "coverage, 90 %", "0.500", "0.400", "0.600", "0.250"]
