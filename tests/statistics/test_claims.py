"""The claims engine: rows picked, verdicts and what decides them, refusals, the published files."""

import json

import pytest
from scipy.stats import t as student_t

from lib.claims import main
from lib.statistics.claims import detectable, judge
from lib.statistics.ledger import Claim, ClaimPart, read_claims
from lib.study.results import verdict_files
from tests.refusals import refused

from .test_ledger import LEDGER

EFFECTS = (
    "effect,data,shift,severity,condition,model,value,lower,upper,lower_90,upper_90,n,df,p\n"
    "ratio,simulation,,0,,cnn,1.5,1.4,1.6,1.42,1.58,10,9,0.001\n"
    "ratio,simulation,,0,,bilstm,1.35,1.3,1.4,1.31,1.39,5,4,0.01\n"
    "ratio,simulation,gc,0.25,,cnn,1.2,1.15,1.24,1.16,1.23,10,9,0.01\n"
    "ratio,simulation,gc,0.33333,,cnn,1.3,1.2,1.4,1.22,1.38,10,9,0.01\n"
    "ratio,simulation,noise,0.8,,cnn,1.05,0.95,1.15,0.97,1.13,10,9,0.3\n"
    "cover,simulation,gc,0.25,,cnn,0.93,0.91,0.952,0.912,0.948,10,9,0.01\n"
    "cover,simulation,none,0.25,,cnn,0.7,0.68,0.72,0.69,0.71,10,9,0.01\n"
    "broken,simulation,gc,0.25,,cnn,0.7,,,,,1,,\n"
)
TIDY = (
    "profile,data,split,shift,seed,split_seed,by,metric,value,lower,upper,n,splits\n"
    "full,wtc11,test,,,,,picp_90,0.93,0.91,0.952,900,5\n"
    "full,wtc11,test,,,3,,picp_90,0.80,0.7,0.9,900,\n"
    "full,wtc11,test,,4,,,picp_90,0.81,0.7,0.9,900,\n"
    "full,wtc11,test,,,,gc_decile,picp_90,0.82,0.7,0.9,90,5\n"
)


@pytest.fixture
def results(tmp_path):
    """A published folder with an effects table and a tidy table."""
    folder = tmp_path / "results"
    (folder / "sim").mkdir(parents=True)
    (folder / "sim" / "effects.csv").write_text(EFFECTS, "utf-8")
    (folder / "mpra.csv").write_text(TIDY, "utf-8")
    manifest = {name: {"config": {"profile": "full"}} for name in ("sim", "mpra")}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def part(**fields):
    """A contrast wanting a ratio above 1.25, with ``fields`` changed."""
    base = {"name": "ratio", "direction": "greater", "margin": 1.25, "null": 1}
    return base | {"where": {"effect": "ratio", "shift": "none", "model": "cnn"}} | fields


def claim(*parts, **fields):
    base = {"id": "C1", "reading": "first", "statement": "It holds", "table": "sim/effects"}
    return Claim.model_validate(base | {"parts": list(parts)} | fields)


def stated(*parts, **fields):
    return claim(*parts, **{"reading": "stated", "quantity": "ratio of errors"} | fields)


def where(shift, **more):
    return {"effect": "ratio", "shift": shift, "model": "cnn"} | more


INSIDE = {"direction": "within", "margin": [0.85, 0.95], "null": 0.9}


def test_a_row_becomes_a_verdict_with_all_its_columns(results):
    judged = judge(results, [claim(part(), page="experiments/01_sim", note="a remark")])
    numbers = {"effect": 1.5, "lower": 1.4, "upper": 1.6, "n": 10, "margin": "> 1.25"}
    # 1.4 lies above 1.25 and 1 + .25 / 2; 1 + .5 lies inside
    numbers |= {"verdict": "supported", "verdict_half": "supported", "verdict_double": "undecided"}
    shared = {"id": "C1", "reading": "first", "variant": "", "part": "ratio", **numbers}
    shared |= {"quantity": "ratio", "by_construction": "false"}
    said = {"statement": "It holds", "note": "a remark", "parts_passed": 1, "parts": 1}
    said["evidence"] = "experiments/01_sim.html, results/sim/effects.csv"
    assert judged.claims.to_dict("records") == [shared | said]
    more = {"secondary": False, "level": 0.95, "table": "sim/effects", "note": ""}
    more["row"] = "effect=ratio, shift=none, model=cnn"
    # half-width .1 is 2.262 standard errors: 1.5 lies 5.65 above 1.25
    more["p_verdict"] = pytest.approx(student_t.cdf(2.5 * 2.262157, 9))
    # half-width .1: 1 + 1.429 · .1 and 1.25 + 1.429 · .1
    more |= {"told": "> 1.14", "supported": "> 1.39"}
    assert judged.parts.to_dict("records") == [shared | more]
    assert judged.not_judged.empty


@pytest.mark.parametrize(
    ("shift", "severity", "verdict", "half", "double", "note"),
    [
        # 1.15 to 1.24 against 1.25, 1.125 and 1.5
        ("gc", 0.25, "contradicted", "supported", "contradicted", "smaller than claimed"),
        # .95 to 1.15 holds 1
        ("noise", 0.8, "contradicted", "undecided", "contradicted", "no sign of it"),
        # 1.2 to 1.4; a third is written with five digits
        ("gc", 1 / 3, "undecided", "supported", "contradicted", ""),
    ],
)
def test_verdicts_at_half_and_twice_the_margin(
    results, shift, severity, verdict, half, double, note
):
    row = judge(results, [claim(part(where=where(shift, severity=severity)))]).parts.iloc[0]
    assert (row["verdict"], row["verdict_half"], row["verdict_double"]) == (verdict, half, double)
    assert row["note"] == note


def test_equivalence_took_the_90_percent_interval_in_the_first_round(results):
    simulated = part(where=where("gc", effect="cover", severity=0.25), **INSIDE)
    measured = {"data": "wtc11", "split": "test", "metric": "picp_90"}
    real = part(name="real", table="mpra", where=measured, **INSIDE)
    judged = judge(results, [claim(simulated, real), stated(simulated)])
    first, second, today = judged.parts.to_dict("records")
    # both 95 % intervals end at .952, outside; the 90 % interval ends at .948, inside
    assert (first["verdict"], first["level"], first["upper"]) == ("supported", 0.9, 0.948)
    assert (second["verdict"], second["level"], second["upper"]) == ("undecided", 0.95, 0.952)
    assert (first["note"], second["note"][:13]) == ("90 % interval", "95 % interval")
    assert (first["n"], second["n"]) == (10, 5)  # worlds; splits, not elements
    assert first["margin"] == "0.85 to 0.95"
    assert judged.claims["verdict"].tolist() == ["undecided"] * 2
    assert (today["level"], today["upper"], today["note"]) == (0.95, 0.952, "")


def test_each_expands_to_the_product_and_secondary_parts_carry_no_weight(results):
    each = {"shift": ["none"], "model": ["cnn", "bilstm"]}
    both = part(where={"effect": "ratio", "data": "simulation"}, each=each)
    judged = judge(results, [claim(both)])
    assert judged.parts["part"].tolist() == ["ratio (none, cnn)", "ratio (none, bilstm)"]
    assert judged.parts["effect"].tolist() == [1.5, 1.35]
    against = part(name="twin", where=where("noise"), secondary=True)
    judged = judge(results, [claim(against, part())])
    assert judged.parts["verdict"].tolist() == ["contradicted", "supported"]
    assert judged.claims[["verdict", "part"]].iloc[0].tolist() == ["supported", "ratio"]


@pytest.mark.parametrize(
    ("parts", "verdict", "decider"),
    [
        # distances from 1.25 in half-widths: cnn .25 / .1, bilstm .1 / .05
        ({"cnn": where("none"), "bilstm": where("none", model="bilstm")}, "supported", "bilstm"),
        ({"good": where("none"), "open": where("gc", severity=0.33333)}, "undecided", "open"),
        (
            {"open": where("gc", severity=0.33333), "small": where("gc", severity=0.25)}
            | {"absent": where("noise")},
            *("contradicted", "small"),
        ),
    ],
)
def test_the_part_that_decides(results, parts, verdict, decider):
    judged = judge(results, [claim(*(part(name=n, where=w) for n, w in parts.items()))])
    assert judged.claims[["verdict", "part"]].iloc[0].tolist() == [verdict, decider]


def test_claims_without_contrast_or_table_wait_and_changes_are_listed(results):
    later = claim(part(), part(table="other/effects", secondary=True), id="C2")
    judged = judge(results, [claim(id="C3", table=None), later, claim(part())])
    assert judged.claims["id"].tolist() == ["C1"]
    assert judged.not_judged[["id", "reason"]].to_numpy().tolist() == [
        ["C3", "no contrast set yet"],
        ["C2", "no results/other/effects.csv yet"],
    ]
    change = {"what": "the margin", "direction": "for", "why": "it was arbitrary"}
    judged = judge(results, [stated(part(), change=change, variant="tail"), claim(part())])
    listed = {"id": "C1", "reading": "stated", "variant": "tail"} | change
    assert judged.changes.to_dict("records") == [listed]


SHORT = (
    "effect,model,value,lower,upper,worlds\n"
    "ratio,a,1.20,1.155,1.245,10\n"
    "ratio,b,1.20,1.13,1.27,10\n"
    "ratio,c,1.20,1.152,1.248,10\n"
    "ratio,oracle,1.1,1.05,1.15,10\n"
    "ratio,far,1.05,0.95,1.15,10\n"
    "exact,a,1.0,0.7,1.20,10\n"
    "ratio,none,,,,0\n"
)


@pytest.fixture
def short(results):
    """Rows that fall short of 1.25 at 95 %: a at 1.6 %, c at 2.1 %, far at 0.07 %; b does not."""
    (results / "sim" / "effects.csv").write_text(SHORT, "utf-8")
    return results


def of(*models, **fields):
    each = {"where": {"effect": "ratio"}, "each": {"model": list(models)}}
    return part(name="ratio", **each | fields)


@pytest.mark.parametrize(
    ("models", "verdicts", "decider"),
    [
        (["a"], "contradicted", "a"),
        # 1.6 % is above 2.5 / 2
        (["b", "a"], "undecided undecided", "b"),
        (["a", "b"], "undecided undecided", "a"),
        # .07 % passes 2.5 / 3, then 1.6 % does not pass 2.5 / 2
        (["a", "far", "c"], "undecided contradicted undecided", "far"),
        # .07 % passes 2.5 / 2, then 1.6 % passes 2.5
        (["a", "far"], "contradicted contradicted", "far"),
    ],
)
def test_short_only_after_holm(short, models, verdicts, decider):
    judged = judge(short, [stated(of(*models))])
    assert " ".join(judged.parts["verdict"]) == verdicts
    row = judged.claims.iloc[0]
    assert row["verdict"] == ("contradicted" if "contradicted" in verdicts else "undecided")
    assert row["part"] == f"ratio ({decider})"
    assert (row["parts_passed"], row["parts"]) == (0, len(models))
    assert row["quantity"] == "ratio of errors"
    alone = "falls short alone, but not after Holm's correction"
    for note, own, model in zip(judged.parts["note"], verdicts.split(), models, strict=True):
        assert (note == alone) == (own == "undecided" and model != "b")
    first = judge(short, [claim(of(*models))])
    assert (first.claims["verdict"] == "contradicted").all()


@pytest.mark.parametrize(
    ("more", "others", "verdict"),
    [
        ("", [], "contradicted"),  # alone it needs 2.5 %
        ("", ["b"], "undecided"),  # 2.5 / 2 cannot be told from a 95 % interval
        ("", ["far"], "contradicted"),
        (",0.6,1.24", ["b"], "contradicted"),  # the interval of a sixth part falls short too
        (",0.6,1.30", ["b"], "undecided"),
    ],
)
def test_exact_intervals_never_contradict_alone(short, more, others, verdict):
    text = SHORT.replace("worlds\n", "worlds,lower_sixth,upper_sixth\n").replace(",10\n", ",10,,\n")
    text = text.replace("0.7,1.20,10,,", "0.7,1.20,10" + (more or ",,"))
    (short / "sim" / "effects.csv").write_text(text, "utf-8")
    exact = part(name="exact", where={"effect": "exact"})
    judged = judge(short, [stated(exact, *([of(*others)] if others else []))])
    assert judged.parts["verdict"][0] == verdict


def test_by_construction_where_the_frozen_oracle_says_the_same(short):
    frozen = {"frozen": {"model": "oracle"}}
    entries = [
        stated(of("far", **frozen)),  # the oracle falls short as well
        stated(of("far", margin=1.02, **frozen), id="C2"),  # it passes where far is undecided
        stated(of("a", margin=1.02, **frozen), id="C3"),
        stated(of("a", margin=1.02, **frozen), of("b", margin=1.02), id="C4"),
        stated(of("a", margin=1.12, **frozen), id="C5"),
    ]
    judged = judge(short, entries).claims
    assert judged["verdict"].tolist() == ["contradicted", "undecided", *["supported"] * 3]
    assert judged["by_construction"].tolist() == ["true", "false", "true", "false", "false"]


def test_what_was_not_run_is_no_verdict(short):
    dropped = of("gone", not_run="no time", secondary=True)
    entries = [stated(of("a"), dropped), stated(of("a"), of("gone", not_run="no time"), id="C2")]
    entries += [stated(of("a", "none"), id="C3"), stated(of("none"), id="C4")]
    entries += [stated(of("a", "none", margin=1.02), id="C5")]
    judged = judge(short, entries)
    verdicts = ["contradicted", "not run"] * 2 + ["not run", "supported", "not run"]
    assert judged.parts["verdict"].tolist() == verdicts
    assert judged.parts["note"].iloc[[1, 3]].tolist() == ["no time", "rests on 0, fewer than 10"]
    assert judged.claims["note"].iloc[1].endswith("parts that rest on too little to count: 1")
    few = "not run: a part that counts rests on fewer than 10 worlds or folds"
    assert judged.not_judged["reason"].tolist() == ["not run: no time", few, few]


def test_a_risk_of_few_groups_is_undecided(short):
    text = "effect,value,lower,upper,n,groups\nall,0.5,0.4,0.6,10,100\nfew,0.5,0.4,0.6,10,99\n"
    (short / "sim" / "effects.csv").write_text(f"{text}none,,0.0,inf,10,0\n", "utf-8")
    kept = part(where={}, each={"effect": ["all", "few", "none"]}, direction="less", margin=0.85)
    judged = judge(short, [stated(kept), claim(kept)]).parts
    verdicts = ["supported", "undecided", "undecided", "supported", "supported", "undecided"]
    assert judged["verdict"].tolist() == verdicts
    assert judged["note"].iloc[1] == "99 groups are kept, fewer than 100"
    assert judged["told"].iloc[2] == "–"


WITHHELD = "withheld, since a placebo shows an effect: same"


@pytest.mark.parametrize(
    ("model", "margin", "found"),
    [("a", [0.97, 1.03], WITHHELD), ("c", [0.9, 1.2], "too wide to tell"), ("b", [0.9, 1.3], "")],
)
def test_a_placebo_with_an_effect_withholds_the_verdict(short, model, margin, found):
    same = part(name="same", where={"model": model, "effect": "ratio"}, direction="within")
    judged = judge(short, [stated(of("a"), same | {"margin": margin, "placebo": True})])
    said = [*judged.claims["note"], *judged.not_judged["reason"]]
    assert len(said) == 1 and found in said[0]
    assert judged.parts["secondary"].tolist() == [False, True]
    assert len(judged.claims) == (model != "a")


@pytest.mark.parametrize(
    "keys",
    [
        {"effect": "nothing", "shift": "gc", "model": "cnn"},
        {"effect": "cover", "shift": "gc", "severity": 0.2501},
        {"effect": "ratio", "shfit": "gc"},
    ],
)
@pytest.mark.parametrize("kind", [{}, {"placebo": True}, {"secondary": True}])
def test_without_its_row_a_part_was_not_run(results, keys, kind):
    gone = part(name="gone", where=keys, **kind)
    for entry in (claim(part(), gone), stated(part(), gone)):
        judged = judge(results, [entry])
        assert judged.parts["verdict"].tolist() == ["supported", "not run"]
        assert judged.parts["note"].iloc[1] == "no such row in the published table"
        reasons = [] if "secondary" in kind else ["not run: sim/effects.csv has no row for gone"]
        assert judged.not_judged["reason"].tolist() == reasons
        assert len(judged.claims) == ("secondary" in kind)


SAID = "^claim C1 first, part 'ratio': sim/effects.csv has "
test_a_part_must_pick_one_finished_row = refused(
    ({"effect": "ratio", "shift": "gc"}, SAID + "2 rows that match; exactly one must"),
    ({"effect": "broken"}, SAID + "no lower in this row"),
    act=lambda results, keys: judge(results, [claim(part(where=keys))]),
    fixture="results",
)


@pytest.mark.parametrize(
    ("manifest", "table", "message"),
    [
        ({"sim": {"config": {"profile": "quick"}}}, "sim/effects", "profile quick; only full runs"),
        ({}, "sim/effects", "has no entry 'sim'"),
        ({"mpra": {"config": {"profile": "full"}}}, "mpra", "comes from the profile smoke"),
    ],
)
def test_only_full_runs_are_judged(results, manifest, table, message):
    (results / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (results / "mpra.csv").write_text(TIDY.replace("full,", "smoke,", 1), "utf-8")
    with pytest.raises(ValueError, match=message):
        judge(results, [claim(part(), table=table)])


def test_command_writes_all_files_or_none(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent)
    assert main() == 1
    assert "claims.yaml does not exist" in capsys.readouterr().err
    text = LEDGER + "  - {id: C2, reading: strict, statement: Later}\n"
    (results.parent / "claims.yaml").write_text(text, "utf-8")
    assert main() == 0
    said = capsys.readouterr().out
    assert said == "C1 first: supported (ratio)\nC2 strict: not judged, no contrast set yet\n"
    before = {path: path.read_text("utf-8") for path in results.rglob("*.csv")}
    assert before[results / "claims.csv"].splitlines()[1] == (
        "C1,first,It holds,supported,ratio,1.5,1.4,1.6,10,> 1.25,1,1,results/sim/effects.csv,"
        "false,,supported,undecided,ratio,"
    )
    several = text.replace("shift: none, ", "")
    (results.parent / "claims.yaml").write_text(several, "utf-8")
    assert main() == 1
    assert "claim C1 first, part 'ratio'" in capsys.readouterr().err
    assert {path: path.read_text("utf-8") for path in results.rglob("*.csv")} == before


def test_published_verdicts_follow_from_the_published_tables_and_have_their_place(root):
    """Editing a result, a margin or a verdict turns this red until ``make claims``."""
    folder = root / "results"
    for name, content in verdict_files(judge(folder, read_claims(root / "claims.yaml"))).items():
        assert (folder / name).read_text("utf-8") == content, f"results/{name}: run make claims"
    page = (root / "book" / "claims.md").read_text("utf-8")
    for found in {claim.id for claim in read_claims(root / "claims.yaml")}:
        assert f"### {found}\n\n```{{verdicts}} {found}\n```" in page


@pytest.mark.parametrize(
    ("fields", "numbers", "found"),
    [
        # half-width .1: 1 + 1.429 · .1 and 1.25 + 1.429 · .1, of 80 % power: (1.96 + .842) / 1.96
        ({}, (1.5, 1.4, 1.6, 0.95), ("> 1.14", "> 1.39")),
        # half-width ln 2 on the log scale: times 2 ** 1.429 = 2.693
        ({}, (2, 1, 4, 0.95), ("> 2.69", "> 3.37")),
        ({"direction": "less", "margin": 0.5}, (1, 0.5, 2, 0.95), ("< 0.371", "< 0.186")),
        # no effect is 0, which no logarithm reaches: half-width 1.5 on the natural scale
        ({"null": 0}, (2, 1, 4, 0.95), ("> 2.14", "> 3.39")),
        # half-width .02 of a 90 % interval: .9 ± 1.779 · .02
        (INSIDE, (0.9, 0.88, 0.92, 0.9), ("–", "0.864 to 0.936")),
    ],
)
def test_what_a_contrast_would_have_told(fields, numbers, found):
    assert detectable(ClaimPart.model_validate(part(**fields)), *numbers) == found
