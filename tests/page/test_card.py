import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.page.card import card, lights

NONE = (float("nan"), float("nan"))


def rows(r2=0.6, coverage=0.9, zms=1.0, spread=0.01, n=300, **more):
    values = {"r2_cod": r2, "pearson_r": 0.8, "picp_90": coverage, "zms": zms} | more
    table = pd.DataFrame({"metric": [*values], "value": [*values.values()]})
    return table.assign(lower=table["value"] - spread, upper=table["value"] + spread, n=n)


def ranked(half=(0.5, 0.4, 0.6), **over):
    found = [("risk_ratio_50", "std", *half)]
    found += [("risk_over_trivial", score, *ends) for score, ends in over.items()]
    return pd.DataFrame(found, columns=["effect", "score", "value", "lower", "upper"])


BEATEN = ranked(mean=(0.8, 0.7, 0.9), gc_distance=(0.6, 0.5, 0.7))


def answers(*tables):
    return [light.answer for light in lights(*tables).values()]


def test_a_good_forecaster_has_three_lights_and_nothing_to_do():
    found = lights(rows(), BEATEN)
    assert [light.answer for light in found.values()] == ["yes"] * 3
    assert [light.remedy for light in found.values()] == [""] * 3
    assert "rejecting by predicted mean leaves more" in found["Sure where it is right?"].sentence


@pytest.mark.parametrize(
    ("place", "given", "answer"),
    [
        (0, {"r2": 0.5}, "yes"),
        (0, {"r2": 0.3}, "in part"),
        (0, {"r2": 0.005}, "no"),  # its interval holds zero
        (0, {"r2": float("nan")}, "not known"),
        (1, {"coverage": 0.87}, "yes"),
        (1, {"coverage": 0.85}, "in part"),
        (1, {"coverage": 0.75}, "no"),
        (1, {"coverage": 0.75, "spread": 0.2}, "in part"),
    ],
)
def test_accurate_and_calibrated(place, given, answer):
    assert answers(rows(**given), BEATEN)[place] == answer


def test_the_remedy_is_the_root_of_the_mean_squared_z():
    narrow = lights(rows(coverage=0.7, zms=1.72**2), BEATEN)["Calibrated?"]
    assert "std is 1.72 times too small" in narrow.sentence
    assert "multiply std by 1.72" in narrow.remedy
    wide = lights(rows(coverage=0.99, zms=0.25), BEATEN)["Calibrated?"]
    assert "std is 2.00 times too large" in wide.sentence and "by 0.50" in wide.remedy
    flawless = lights(rows(coverage=1.0, zms=0.0), BEATEN)["Calibrated?"]
    assert "no errors at all" in flawless.remedy and "by 0.00" not in flawless.remedy
    assert "of the size of the errors" in lights(rows(zms=1.05), BEATEN)["Calibrated?"].sentence


def test_an_order_is_held_against_the_hardest_simple_rule():
    even = lights(rows(), ranked(mean=(1.0, 0.9, 1.1), gc_distance=(0.6, 0.5, 0.7)))
    sure = even["Sure where it is right?"]
    assert sure.answer == "in part" and "predicted mean leaves no more" in sure.sentence
    assert "predicted mean does as well" in sure.remedy
    worse = lights(rows(), ranked(mean=(1.2, 1.1, 1.3)))["Sure where it is right?"]
    assert "leaves less" in worse.sentence and "does better" in worse.remedy
    useless = ranked(half=(1.0, 0.9, 1.1), mean=(1.0, 0.9, 1.1))
    useless = lights(rows(unc_error_spearman=-0.05), useless)["Sure where it is right?"]
    assert useless.answer == "no"
    assert "its rank correlation with the error is \N{MINUS SIGN}0.05 (" in useless.remedy


def test_what_nobody_ranked_is_not_known_and_values_without_intervals_do():
    assert answers(rows(), BEATEN[:0])[2] == "not known" == answers(rows(n=9), BEATEN)[0]
    bare = rows().assign(lower=float("nan"), upper=float("nan"))
    order = ranked(half=(0.5, *NONE), mean=(0.8, *NONE))
    assert answers(bare, order) == ["yes"] * 3
    few = rows(coverage=0.0, n=12).assign(lower=float("nan"), upper=float("nan"))
    assert answers(few, order)[:2] == ["yes", "in part"]  # of few elements little is sure


def test_a_card_shows_a_stranger_s_title_as_text_and_what_to_do():
    found = lights(rows(coverage=0.7, zms=4), BEATEN)
    page = BeautifulSoup(card("<b>mine</b>.csv", found).data, "html.parser")
    assert page.find("p").get_text() == "<b>mine</b>.csv"
    assert [term.get_text() for term in page.find_all("dt")] == [*found]
    assert "no 90 % intervals hold 0.70 (" in page.find_all("dd")[1].get_text()
    (step,) = page.find_all("li")
    assert "multiply std by 2.00" in step.get_text()
