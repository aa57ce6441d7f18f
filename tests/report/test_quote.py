"""The sentence to quote: numbers of the content only, grammar for none, one and many."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from tests.support.report_content import EXPLAINERS, make_content
from uproar.report.content import ReportContent
from uproar.report.quote import quote
from uproar.report.records import report_of
from uproar.report.sections import pixels


def sentence(content: ReportContent) -> str:
    return quote(report_of(content)).replace("\N{NO-BREAK SPACE}", " ")


REASON_OF = {"withheld": "leaks", "untested": "one repeat"}


def with_verdicts(protocol: str, verdicts: list[str]) -> ReportContent:
    """Return a content of one protocol whose explainers got these verdicts."""
    names = [f"e{number}" for number in range(len(verdicts))]
    gains = pd.DataFrame(
        [
            {
                "protocol": protocol,
                "removal": "mean",
                "explainer": name,
                "gain": 0.3 - place / 10,
                "low": 0.29 - place / 10,
                "high": 0.31 - place / 10,
                "verdict": verdict,
                "reason": REASON_OF.get(verdict, ""),
            }
            for place, (name, verdict) in enumerate(zip(names, verdicts, strict=True))
        ]
    )
    content = make_content(explainers=names)
    return dataclasses.replace(content, gains=gains, pairs=pd.DataFrame())


def test_the_whole_sentence() -> None:
    assert sentence(make_content()) == (
        "On digits (mlp, 97.1 % accurate; split seed 0, 1 base model, 5 repeats, removal by "
        "mean), 0 of 21 explainers were shown better than random by ROAR, 0 indistinguishable, 1 "
        "worse; for 20 ROAR cannot say, because the shape of the mask alone predicts the label, or "
        "is not proven not to. Under retrain-once, which leaks far less, 18 of 21 beat random; ig "
        "is best (gain 0.27, 95 % interval for this model 0.26 to 0.28), though 2 others cannot be "
        "told from it."
    )


@pytest.mark.parametrize(
    ("verdicts", "part"),
    [
        (["better"], "1 of 1 explainer was shown better than random by ROAR"),
        (["better"] * 2, "2 of 2 explainers were shown better than random by ROAR"),
        (["worse"] * 2, "0 of 2 explainers were shown better"),
    ],
)
def test_grammar_of_roar(verdicts: list[str], part: str) -> None:
    assert part in sentence(with_verdicts("roar", verdicts))


@pytest.mark.parametrize(
    ("verdicts", "part"),
    [
        (["better", "worse"], "1 of 2 beats random under retrain-once;"),
        (["better"] * 2, "2 of 2 beat random under retrain-once; e0 is best"),
        (["worse"], "none of 1 explainer beats random under retrain-once"),
    ],
)
def test_grammar_of_retrain_once(verdicts: list[str], part: str) -> None:
    assert part in sentence(with_verdicts("retrain-once", verdicts))


def test_without_withheld_verdicts_nothing_is_said_of_leaks() -> None:
    assert "cannot say" not in sentence(with_verdicts("roar", ["better"]))


def test_what_was_not_tested_is_told_with_its_reasons() -> None:
    content = with_verdicts("roar", ["better", "untested", "untested", "withheld"])
    said = sentence(content)
    assert "; 2 not tested (one repeat)." in said
    content.gains.loc[2, "reason"] = "no leak control"
    assert "; 2 not tested (one repeat, no leak control)." in sentence(content)


@pytest.mark.parametrize(
    ("protocol", "verdicts", "end"),
    [
        (
            *("retrain-once", ["untested"] * 2),
            "no explainer has a verdict under retrain-once: 2 not tested (one repeat).",
        ),
        (
            *("kar", ["withheld", "untested"]),
            "no explainer has a verdict under KAR: 1 withheld (mask leaks), "
            "1 not tested (one repeat).",
        ),
        (
            *("retrain-once", ["better", "untested"]),
            "1 of 2 beats random under retrain-once; e0 is best (gain 0.30, 95 % interval for this "
            "model 0.29 to 0.31); 1 not tested (one repeat).",
        ),
        (
            *("no-retrain", ["untested"]),
            "no explainer has a verdict without retraining: 1 not tested (one repeat).",
        ),
    ],
)
def test_what_has_no_verdict_does_not_count_as_random(
    protocol: str, verdicts: list[str], end: str
) -> None:
    assert sentence(with_verdicts(protocol, verdicts)).endswith(f", removal by mean), {end}")


def test_nothing_is_best_where_the_second_sentence_has_no_verdict() -> None:
    content = make_content()
    second = content.gains["protocol"] == "retrain-once"
    content.gains.loc[second, ["verdict", "reason"]] = ["untested", "one repeat"]
    assert sentence(content).endswith(
        ". Under retrain-once, which leaks far less, no explainer has a verdict: 21 not tested "
        "(one repeat)."
    )


def test_several_base_models_are_told_and_intervals_are_about_more_than_one() -> None:
    content = make_content()
    several = dataclasses.replace(content, model={**content.model, "base_models": 3})
    assert "split seed 0, 3 base models, 5 repeats" in sentence(several)
    assert "95 % interval 0.26 to 0.28" in sentence(several)


def test_without_protocols_there_is_no_verdict() -> None:
    assert "there is no verdict" in sentence(make_content(protocols=()))


def test_without_retraining_the_evidence_is_called_weak() -> None:
    assert sentence(make_content(protocols=("no-retrain",))) == (
        "On digits (mlp, 97.1 % accurate; split seed 0, 1 base model, removal by mean), 16 of 21 "
        "beat random without retraining; ig is best (gain 0.11, 95 % interval for this model 0.10 "
        "to 0.12), though 4 others cannot be told from it. The model was not made for inputs "
        "without some features, so that this is weak evidence."
    )


def test_regression_speaks_of_r_squared() -> None:
    said = sentence(make_content(task="regression"))
    assert said.startswith("On digits (mlp, R² 0.81; split seed 0, ")


def test_kar_alone_has_its_say() -> None:
    said = sentence(make_content(protocols=("kar",)))
    assert "18 of 21 beat random under KAR; ig is best (gain 0.21," in said


def test_several_removals_are_named() -> None:
    content = make_content(explainers=EXPLAINERS[:4], removals=("mean", "blur"))
    assert "5 repeats, removal by mean)" in sentence(content)


def test_outline_of_a_ring_has_two_borders() -> None:
    ring = [[True, True, True], [True, False, True], [True, True, True]]
    path = pixels.outline(pd.DataFrame(ring).to_numpy())
    assert sorted(path.replace("M", " M").split()) == sorted(
        ["M0,0h3", "M1,1h1", "M1,2h1", "M0,3h3", "M0,0v3", "M1,1v1", "M2,1v1", "M3,0v3"]
    )
