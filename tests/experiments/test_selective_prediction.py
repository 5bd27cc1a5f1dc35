import numpy as np
import pytest
import yaml
from scipy import stats

from lib.experiments import (
    mpra_gc_ood,
    selective_tables,
    simulation_shifts,
)
from lib.experiments import selective_measures as measures
from lib.experiments import selective_prediction as chosen
from lib.experiments.selective_measures import Part, Rule, judge, make_rules
from lib.experiments.selective_prediction import Config, run, world_arms
from lib.experiments.selective_scores import scored
from lib.experiments.sim_arms import Condition, Sizes
from lib.metrics import selective
from lib.study import results
from lib.study.units import Store

KEYS = {
    **{"data": "made", "split": "test", "shift": "", "family": "", "severity": 0.0},
    **{"condition": "", "cell": "made", "model": "cnn", "uncertainty": "single"},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    config = Config.create(profile="smoke", workers=1)
    return run(config, Store(tmp_path_factory.mktemp("store"))), config


def part(loss, std, *, group=None, resampled=False, **more):
    """Elements predicted as 0 whose squared errors are ``loss``, GC and mean without ties."""
    n = len(loss)
    rng = np.random.default_rng(0)
    trivial = {name: rng.permutation(n).astype(float) for name in measures.TRIVIAL}
    given = {"rules": (), "truth": None, "n_train": 10 * n} | more
    return Part(
        keys=KEYS,
        unit=0,
        mean=np.zeros(n),
        target=np.sqrt(np.asarray(loss, float)),
        gc=np.linspace(0.3, 0.7, n),
        group=np.arange(n) if group is None else group,
        scores={"std": np.asarray(std, float)} | trivial,
        resampled=resampled,
        **given,
    )


def value(judged, metric, **keys):
    rows = judged.points
    keys = {"target": "measured"} | keys
    for column, wanted in ({"metric": metric} | keys).items():
        rows = rows[rows[column] == wanted]
    return rows.iloc[0]


def test_half_kept_by_hand():
    """Kept are the elements of std 1 to 10, whose losses are 1; all others have 4."""
    judged = judge(part(np.repeat([1.0, 4.0], 10), np.arange(1, 21)), 0, 0)
    assert value(judged, "risk")["value"] == pytest.approx(2.5)
    assert value(judged, "risk_50", score="std")["value"] == pytest.approx(1.0)
    ratio = value(judged, "risk_ratio_50", score="std")["value"]
    assert np.exp(ratio) == pytest.approx(1 / 2.5)
    # targets are 1 in the kept half: no spread, so no share of it is explained
    assert value(judged, "r2_50", score="std")["value"] == -np.inf
    curve = judged.curves.set_index(["curve", "coverage"])["risk"]
    assert curve["std", 0.5] == pytest.approx(1 / 2.5) and curve["std", 1.0] == pytest.approx(1)
    assert judged.curves["coverage"].min() == 0.5  # fewer than ten elements are not shown


def test_ranked_values_are_the_metrics():
    """Independent truth: the plain functions of lib.metrics on the same elements, with ties."""
    rng = np.random.default_rng(1)
    loss, std = rng.exponential(size=301), rng.integers(1, 9, 301).astype(float)
    judged = judge(part(loss, std), 0, 0)
    for metric in ("aurc", "e_aurc", "augrc", "prr"):
        expected = getattr(selective, metric)(loss, std)
        assert value(judged, metric, score="std")["value"] == pytest.approx(expected)
    expected = selective.risk_at(loss, std, 0.5)
    assert value(judged, "risk_50", score="std")["value"] == pytest.approx(expected)


def test_a_draw_is_the_metric_of_the_resampled_table():
    rng = np.random.default_rng(2)
    loss, score = rng.exponential(size=50), rng.normal(size=50)
    weights = rng.integers(0, 3, (50, 4)).astype(float)
    found = measures.ranked_risk(loss, score, weights, 0.5)
    for draw in range(4):
        rows = np.repeat(np.arange(50), weights[:, draw].astype(int))
        # ties are between copies of one element, whose losses are equal
        assert found[draw] == pytest.approx(selective.risk_at(loss[rows], score[rows], 0.5))


def test_bootstrap_variance_is_that_of_repeated_samples():
    """The spread of the log ratio over fresh samples, against its bootstrap within one."""

    def sample(seed):
        rng = np.random.default_rng(seed)
        std = rng.uniform(0.5, 1.5, 600)
        return part((std * rng.normal(size=600)) ** 2, std, resampled=True)

    fresh = [
        value(judge(sample(seed), 2, 0), "risk_ratio_50", score="std")["value"]
        for seed in range(60)
    ]
    within = value(judge(sample(99), 200, 0), "risk_ratio_50", score="std")["variance"]
    # the s.e. of 60 repeats is 9 % of the s.d., that of 200 draws 5 %
    assert within**0.5 == pytest.approx(np.std(fresh, ddof=1), rel=0.35)


def test_whole_groups_are_resampled():
    """Groups of four copies carry a quarter of the information: four times the variance."""
    rng = np.random.default_rng(3)
    loss, std = rng.exponential(size=400), rng.normal(size=400) + 5
    single = judge(part(loss, std, resampled=True), 200, 0)
    copies = [np.repeat(values, 4) for values in (loss, std, np.arange(400))]
    fourfold = judge(part(*copies[:2], group=copies[2], resampled=True), 200, 0)
    pair = [value(judged, "risk")["variance"] for judged in (single, fourfold)]
    assert pair[1] == pytest.approx(pair[0], rel=0.3)


def test_fixed_thresholds_by_hand():
    """Std up to 4 are kept: losses 1, 1, 1, 5 of 1, 1, 1, 5, 9, 9 with mean 2 against a target."""
    rules = (
        Rule("coverage_50", 4.0, target=1.6),
        Rule("crc", 4.0, target=1.6, bound=3.0, generalised=True),
        Rule("ltt", -np.inf, target=1.6),
    )
    judged = judge(part([1, 1, 1, 5, 9, 9], [1, 2, 3, 4, 5, 6], rules=rules), 0, 0)
    fixed = {"score": "std", "rule": "coverage_50"}
    assert value(judged, "fixed_coverage", **fixed)["value"] == pytest.approx(4 / 6)
    assert value(judged, "fixed_risk", **fixed)["value"] == pytest.approx(2)
    assert np.exp(value(judged, "risk_ratio_fixed", **fixed)["value"]) == pytest.approx(12 / 26)
    assert value(judged, "violated", **fixed)["value"] == 1
    # with losses bounded by 3 and rejected ones counted as 0: (1 + 1 + 1 + 3) / 6 = 1
    controlled = fixed | {"rule": "crc"}
    assert np.exp(value(judged, "risk_over_target", **controlled)["value"]) == pytest.approx(
        1 / 1.6
    )
    assert value(judged, "violated", **controlled)["value"] == 0
    nothing = fixed | {"rule": "ltt"}
    assert value(judged, "fixed_coverage", **nothing)["value"] == 0
    assert value(judged, "violated", **nothing)["value"] == 0
    assert np.isnan(value(judged, "fixed_risk", **nothing)["value"])


def test_trivial_scores_reject_as_many_as_the_fixed_threshold():
    """A trivial score equal to std keeps the same elements, so that their ratio is one."""
    rng = np.random.default_rng(4)
    loss, std = rng.exponential(size=200), rng.normal(size=200)
    made = part(loss, std, rules=(Rule("coverage_50", 0.3, 1.0),))
    made = Part(**{**vars(made), "scores": made.scores | {"mean": 2 * std}})
    row = value(judge(made, 0, 0), "risk_over_trivial_fixed", score="mean")
    assert row["value"] == pytest.approx(0)


@pytest.mark.slow
def test_rules_keep_their_promise_in_distribution():
    """Risk certified at 90 %, loss controlled in expectation, over fresh calibration parts."""
    held = np.random.default_rng(0)

    def sample(rng, n):
        std = rng.uniform(0.2, 2, n)
        return (std * rng.normal(size=n)) ** 2, std

    loss, std = sample(held, 200_000)
    broken, remaining, kept = [], [], []
    for seed in range(150):
        rng = np.random.default_rng([seed, 7])
        own = sample(rng, 1600)
        rules = make_rules(*own, np.arange(1600), 1.3, 0.85, rng)
        named = {rule.name: rule for rule in rules}
        ltt, crc = named["ltt"], named["crc"]
        inside = std <= ltt.threshold
        clipped = np.minimum(loss, ltt.bound)
        broken.append(inside.any() and clipped[inside].mean() > ltt.target)
        kept.append(inside.mean())
        remaining.append((clipped * (std <= crc.threshold)).mean() / crc.target)
        assert named["coverage_50"].threshold == pytest.approx(np.median(own[1]), abs=0.01)
    # at most a tenth may break; 150 binomial draws of .1 have s.d. .024
    assert np.mean(broken) <= 0.1 + 3 * 0.024
    assert np.mean(kept) > 0.5
    # the mean of 150 ratios, each about 1 with s.d. below .15
    assert np.mean(remaining) < 1 + 3 * 0.15 / 150**0.5


def test_rules_take_one_element_of_each_group():
    """Copies of an element add nothing that the certified rules may count."""
    rng = np.random.default_rng(5)
    std = rng.uniform(0.2, 2, 400)
    loss = (std * rng.normal(size=400)) ** 2
    plain = make_rules(loss, std, np.arange(400), 1.3, 0.85, np.random.default_rng(0))
    copied = make_rules(
        *(np.tile(values, 3) for values in (loss, std, np.arange(400))),
        1.3,
        0.85,
        np.random.default_rng(0),
    )
    # one of three copies in other order: the same 400 elements, halved in another way
    assert copied[3].target == pytest.approx(plain[3].target, rel=0.4)
    assert copied[2].threshold <= np.quantile(std, 0.9)


def test_an_ensemble_adds_its_two_parts():
    members = [(np.zeros(3), np.ones(3)), (np.full(3, 2.0), np.ones(3))]
    training = (np.array([0.0, 2.0]), np.array([0.4, 0.6]))
    mean, scores = scored(members, np.array([0.5, 0.6, 0.7]), np.zeros(3), training)
    assert mean.tolist() == [1, 1, 1]
    assert scores["epistemic"].tolist() == [1, 1, 1] and scores["aleatoric"].tolist() == [1, 1, 1]
    assert scores["std"] == pytest.approx(np.sqrt([2, 2, 2]))
    # GC .1 is one standard deviation of the training GC
    assert scores["gc_distance"] == pytest.approx([0, 1, 2])
    assert scores["mean_distance"] == pytest.approx([0, 0, 0])
    alone = scored(members[:1], np.array([0.5, 0.6, 0.7]), np.zeros(3), training)[1]
    assert "epistemic" not in alone


def test_fieller_ends_are_where_the_t_test_turns():
    rng = np.random.default_rng(6)
    lower = 2 + 0.3 * rng.normal(size=10)
    upper = 0.6 * lower + 0.2 * rng.normal(size=10) - 1
    value_, low, high = selective_tables.ratio_of_means(upper, lower, 0.9)
    assert low < value_ < high
    for end in (low, high):
        assert stats.ttest_1samp(upper - end * lower, 0).pvalue == pytest.approx(0.1)
    # where the denominator may be 0 nothing is said
    assert selective_tables.ratio_of_means([1, 2, 3], [-1, 0, 2])[1:] == (-np.inf, np.inf)


def test_pools_are_those_of_the_two_kinds_of_repeat():
    values = [0.1, 0.3, 0.2, 0.4]
    worlds = selective_tables.pool(values, None, 10, 100)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (worlds.lower, worlds.upper) == pytest.approx((low, high))
    # splits share elements: 1/4 + 10/100 of the variance between them, and that within
    splits = selective_tables.pool(values, [0.01] * 4, 10, 100)
    error = (0.01 + 0.35 * np.var(values, ddof=1)) ** 0.5
    half = stats.t.ppf(0.975, splits.df) * error
    assert splits.upper - splits.value == pytest.approx(half)
    assert splits.lower_90 > splits.lower
    undecided = selective_tables.pool([0.1, np.nan], None, 10, 100)
    assert undecided[1:3] == (-np.inf, np.inf)


def test_noise_at_test_only_leaves_risk_against_the_truth_as_it_was(found):
    """By construction: the forecast and the noise-free activity are the same elements'."""
    rows = found[0].rows
    rows = rows[(rows["data"] == "simulation") & (rows["split"] != "matched")]
    home, noisy = rows[rows["shift"] == ""], rows[rows["shift"] == "noise"]
    for metric in ("risk_f", "aurc_f", "prr_f"):
        pair = [side.set_index(["metric", "bin"])["value"] for side in (home, noisy)]
        assert pair[0][metric].to_numpy() == pytest.approx(pair[1][metric].to_numpy())
    measured = [side[side["metric"] == "risk"]["value"].item() for side in (home, noisy)]
    assert measured[1] > 1.5 * measured[0]


def test_the_oracle_of_the_ranked_metrics_is_the_true_forecast(found):
    """Its risk is the noise variance alone, so its areas lie below the network's."""
    rows = found[0].rows
    rows = rows[(rows["metric"] == "augrc") & (rows["bin"] == "std")]
    rows = rows[rows["data"] == "simulation"]
    assert len(rows) and (rows["oracle"] < rows["value"]).all()


def test_rows_keep_the_contract(found, tmp_path):
    tables, config = found
    results.write(tmp_path, config.experiment, tables.rows, tables.tables, tables.entry)
    read = results.read(tmp_path, config.experiment)
    assert set(read["data"]) == {"simulation", "standin"} and set(read["profile"]) == {"smoke"}
    inside = read[(read["split"] == "test")]
    assert inside["shift"].isna().all() and (inside["severity"] == 0).all()
    bounded = read.dropna(subset="lower")
    assert (bounded["lower"] <= bounded["upper"]).all()


def test_claims_find_their_rows(found, root):
    """Each part of C10 to C12 names exactly one row, real data sets replaced by the stand-in."""
    claims = yaml.safe_load((root / "claims.yaml").read_text("utf-8"))["claims"]
    effects = found[0].tables["effects"].fillna({"condition": ""})
    wanted = [claim for claim in claims if claim["id"] in ("C10", "C11", "C12")]
    for piece in [piece for claim in wanted for piece in claim["parts"]]:
        rows = effects
        for column, cell in piece["where"].items():
            rows = rows[rows[column] == cell]
        each = piece.get("each", {})
        for column, cells in each.items():
            known = {str(cell).replace("wtc11", "standin") for cell in cells}
            known = {cell for cell in known if "plant_leaf" not in cell}
            assert known <= set(rows[column]), (piece["name"], column)
            rows = rows[rows[column].isin(known)]
        picked = rows[list(each)].astype(str).agg(" ".join, axis=1) if each else rows["effect"]
        assert len(picked) and picked.is_unique, piece["name"]


@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_fits_are_those_of_notebooks_01_and_02(profile):
    """Otherwise a run after these two would train everything once more."""
    own, worlds = (module.Config.create(profile=profile) for module in (chosen, simulation_shifts))
    assays = mpra_gc_ood.Config.create(profile=profile)
    assert own.parts == worlds.parts and own.epochs == worlds.epochs
    assert set(own.world_seeds) <= set(worlds.world_seeds)
    assert own.noise_worlds <= worlds.noise_worlds
    assert own.assays.design.fit == assays.design.fit
    for name in ("seeds", "split_seeds", "members", "gc_quantile", "standin_size"):
        assert getattr(own.assays, name) == getattr(assays, name)


def test_full_profile_meets_the_floor():
    config = Config.create(profile="full")
    arms = world_arms(config)
    assert config.parts == Sizes(30_000, 3_000, 3_000, 10_000)
    homes = [arm for arm, _ in arms if arm.law == Condition()]
    noisy = [arm for arm, _ in arms if arm.law == Condition("noise", 1.0)]
    assert [arm.world_seed for arm in homes] == [arm.world_seed for arm in noisy] == list(range(10))
    assert len({condition.severity for _, own in arms for condition in own} - {0.0}) == 4
    assert len(config.assays.split_seeds) == 5 and config.assays.epochs >= 20
