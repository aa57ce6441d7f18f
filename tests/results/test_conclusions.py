"""Conclusions from evidence that is made by hand, with answers typed as literals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from uproar.plan.spec import Spec
from uproar.protocols import compared
from uproar.results.conclusions import Conclusions, conclude
from uproar.results.curves import Evidence

EXAMPLES, REPEATS = 200, 3
INNER = (0.25, 0.75)
COMPARED = {p.name: {curve.name for curve in p.curves} for p in compared()}
NAMES = {"explainers": "good,bad,leaky,random", "callables": "good,bad,leaky"}
SPEC = Spec.from_mapping({**NAMES, "bootstrap_draws": 400})


def answers(*accuracies: float, repeats: int = REPEATS) -> np.ndarray:
    """One base model that is right about the first ``accuracy`` of the examples, every time."""
    right = np.arange(EXAMPLES)[None] < EXAMPLES * np.array(accuracies)[:, None]
    return np.repeat(right[:, None], repeats, axis=1)[None]


def found(**changes: object) -> Evidence:
    removing = {
        "good": answers(0.5, 0.2),
        "bad": answers(0.9, 0.8),
        "leaky": answers(0.5, 0.2),
        "random": answers(0.8, 0.4),
    }
    keeping = {
        "good": answers(0.7, 0.9),
        "bad": answers(0.2, 0.6),
        "leaky": answers(0.7, 0.9),
        "random": answers(0.4, 0.8),
    }
    mask = {name: answers(0.1, 0.1, repeats=2) for name in ("good", "bad", "random")}
    mask["leaky"] = answers(0.1, 0.9, repeats=2)
    scores = {
        ("roar", "mean"): removing,
        ("kar", "mean"): keeping,
        ("mask-only", ""): mask,
        ("retrain-once-removed", "mean"): removing,
        ("retrain-once-kept", "mean"): keeping,
        ("no-retrain", "mean"): removing,
    }
    lower, higher = answers(0.9, 0.1), answers(0.1, 0.9)
    ends = {
        (curve.name, "mean"): lower if curve.direction == "lower" else higher
        for protocol in compared()
        for curve in protocol.curves
    }
    values = {"inner": INNER, "scores": scores, "ends": ends}
    return Evidence(**(values | changes))


MAJORITY = answers(0.1)[0, 0, 0]  # right about as many as masks that tell nothing
BASE = answers(0.9)[0, 0, :1]


def concluded(evidence: Evidence | None = None, **changes: Any) -> Conclusions:
    known = {"majority": MAJORITY, "base_scores": BASE} | changes
    return conclude(SPEC, evidence or found(), **known)


def by_protocol(conclusions: Conclusions, column: str, explainer: str = "good") -> dict[str, str]:
    """Return what the gains say of one explainer, by protocol."""
    rows = conclusions.gains.query(f"explainer == '{explainer}'")
    return dict(zip(rows["protocol"], rows[column], strict=True))


def test_gains_are_the_areas_between_the_curves() -> None:
    gains = concluded().gains.set_index(["protocol", "explainer"])
    # Weights of the trapezoid from (0, 0) over 0.25 to 0.75: 0.375 and 0.25.
    expected = {
        ("roar", "good"): 0.375 * 0.3 + 0.25 * 0.2,
        ("roar", "bad"): 0.375 * -0.1 + 0.25 * -0.4,
        ("roar", "random"): 0.0,
        ("kar", "good"): 0.375 * 0.3 + 0.25 * 0.1,
        ("kar", "bad"): 0.375 * -0.2 + 0.25 * -0.2,
        ("retrain-once", "good"): (0.1625 + 0.1375) / 2,
        ("no-retrain", "good"): 0.1625,
    }
    for key, value in expected.items():
        assert gains.loc[key, "gain"] == pytest.approx(value)
    # A perfect curve lies at the end point from the first fraction on: 0.1 for removing.
    attainable = 0.375 * (0.8 - 0.1) + 0.25 * (0.4 - 0.1)
    assert gains.loc[("roar", "good"), "normalised"] == pytest.approx(0.1625 / attainable)
    attainable = 0.375 * (0.9 - 0.4) + 0.25 * (0.9 - 0.8)
    assert gains.loc[("kar", "good"), "normalised"] == pytest.approx(0.1375 / attainable)
    assert (gains["low"] <= gains["gain"]).all()
    assert (gains["gain"] <= gains["high"]).all()


def test_verdicts_of_retraining_are_withheld_where_the_mask_leaks() -> None:
    verdicts = concluded().gains.pivot_table(
        index="protocol", columns="explainer", values="verdict", aggfunc="first"
    )
    assert verdicts["good"].to_dict() == dict.fromkeys(COMPARED, "better")
    assert verdicts["bad"].to_dict() == dict.fromkeys(COMPARED, "worse")
    assert verdicts["random"].to_dict() == dict.fromkeys(COMPARED, "reference")
    assert verdicts["leaky"].to_dict() == {
        "roar": "withheld",
        "kar": "withheld",
        "retrain-once": "better",
        "no-retrain": "better",
    }
    reasons = by_protocol(concluded(), "reason", "leaky")
    assert reasons == {"roar": "leaks", "kar": "leaks", "retrain-once": "", "no-retrain": ""}
    assert set(by_protocol(concluded(), "reason").values()) == {""}


def test_verdicts_of_retraining_are_withheld_where_too_few_examples_prove_the_mask_clear() -> None:
    scores = dict(found().scores)
    mask = scores["mask-only", ""]
    scores["mask-only", ""] = {**mask, "good": answers(0.12, 0.12, repeats=2)}
    conclusions = concluded(found(scores=scores))
    assert set(conclusions.leaks.query("explainer == 'good'")["mask"]) == {"unclear"}
    assert by_protocol(conclusions, "verdict") == {
        "roar": "withheld",
        "kar": "withheld",
        "retrain-once": "better",
        "no-retrain": "better",
    }
    assert by_protocol(conclusions, "reason")["roar"] == "unclear"


def test_verdicts_of_retraining_need_the_leak_control_of_that_explainer() -> None:
    scores = dict(found().scores)
    mask = dict(scores["mask-only", ""])
    del mask["good"]
    scores["mask-only", ""] = mask
    conclusions = concluded(found(scores=scores))
    assert by_protocol(conclusions, "verdict") == {
        "roar": "untested",
        "kar": "untested",
        "retrain-once": "better",
        "no-retrain": "better",
    }
    assert by_protocol(conclusions, "reason")["kar"] == "no leak control"
    assert by_protocol(conclusions, "verdict", "bad")["roar"] == "worse"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base_scores": MAJORITY[None]}, "learned nothing"),
        ({"base_scores": np.stack([BASE[0], MAJORITY])}, "learned nothing"),  # one of two models
        ({"tied_reference": True}, "tied reference"),
        ({"base_scores": MAJORITY[None], "tied_reference": True}, "learned nothing"),
    ],
)
def test_there_are_no_verdicts_at_all(changes: dict, reason: str) -> None:
    conclusions = concluded(**changes)
    for explainer in ("good", "bad", "leaky"):
        assert by_protocol(conclusions, "verdict", explainer) == dict.fromkeys(COMPARED, "untested")
        assert by_protocol(conclusions, "reason", explainer) == dict.fromkeys(COMPARED, reason)
    assert by_protocol(conclusions, "verdict", "random") == dict.fromkeys(COMPARED, "reference")


def test_one_training_gives_no_verdict() -> None:
    whole = found()
    once = {
        key: {name: values[:, :, :1] for name, values in arm.items()}
        for key, arm in whole.scores.items()
    }
    conclusions = concluded(found(scores=once))
    assert by_protocol(conclusions, "verdict") == {
        "roar": "untested",
        "kar": "untested",
        "retrain-once": "untested",
        "no-retrain": "better",
    }
    assert by_protocol(conclusions, "reason")["retrain-once"] == "one repeat"
    assert by_protocol(conclusions, "reason", "leaky")["roar"] == "leaks"


def test_leaks_are_listed_for_every_explainer_and_fraction() -> None:
    table = concluded().leaks
    assert len(table) == 8
    shown = table.loc[table["mask"] == "leaks", ["explainer", "fraction", "accuracy", "share"]]
    assert shown.values.tolist() == [["leaky", 0.75, 0.9, pytest.approx(1.0)]]
    assert (table["mask"] == "clear").sum() == 7


def test_curves_hold_the_shared_ends() -> None:
    table = concluded().curves
    assert set(table["protocol"]) == set().union(*COMPARED.values())
    one = table.query("protocol == 'kar' and explainer == 'good'")
    assert one["fraction"].tolist() == [0.0, 0.25, 0.75, 1.0]
    assert one["value"].tolist() == [0.1, 0.7, 0.9, 0.9]
    assert one["repeats"].tolist() == [REPEATS] * 4
    assert (one["low"] < one["value"]).all()
    assert (one["value"] < one["high"]).all()


def test_pairs_and_agreement() -> None:
    conclusions = concluded()
    pairs = conclusions.pairs.query("protocol == 'roar'").set_index(["first", "second"])
    assert set(pairs.index) == {("good", "leaky"), ("good", "bad"), ("leaky", "bad")}
    assert pairs.loc[("good", "bad"), "difference"] == pytest.approx(0.1625 + 0.1375)
    assert bool(pairs.loc[("good", "bad"), "distinguishable"])
    assert not bool(pairs.loc[("good", "leaky"), "distinguishable"])
    rho = conclusions.agreement.set_index(["first", "second"])["spearman"]
    assert list(rho.index) == [
        ("roar", "kar"),
        ("roar", "retrain-once"),
        ("kar", "retrain-once"),
        ("retrain-once", "no-retrain"),
    ]
    assert rho.to_numpy() == pytest.approx(1.0)
    assert set(conclusions.detectable) == set(COMPARED)
    assert all(0 < value < 1 for value in conclusions.detectable.values())


@pytest.mark.slow
def test_the_same_evidence_gives_the_same_conclusions() -> None:
    assert concluded().to_json() == concluded().to_json()


def test_a_protocol_needs_random_and_all_its_curves() -> None:
    scores = dict(found().scores)
    scores["roar", "mean"] = {k: v for k, v in scores["roar", "mean"].items() if k != "random"}
    kept = scores["retrain-once-kept", "mean"]
    scores["retrain-once-kept", "mean"] = {k: v for k, v in kept.items() if k != "bad"}
    conclusions = concluded(found(scores=scores))
    listed = conclusions.gains.groupby("protocol")["explainer"].apply(set).to_dict()
    assert listed == {
        "kar": {"good", "bad", "leaky", "random"},
        "retrain-once": {"good", "leaky", "random"},
        "no-retrain": {"good", "bad", "leaky", "random"},
    }
    assert set(conclusions.pairs["protocol"]) == set(listed)


def test_without_evidence_all_tables_are_empty_and_have_their_columns() -> None:
    conclusions = concluded(found(scores={}, ends={}))
    full = concluded()
    for name, table in vars(conclusions).items():
        if isinstance(table, pd.DataFrame):
            assert table.empty
            assert list(table.columns) == list(getattr(full, name).columns)
    assert conclusions.detectable == {}


def unattainable() -> dict:
    """Random is at the end point already, so that nothing can be normalised: NaN."""
    scores = found().scores
    flat = {name: answers(0.1, 0.1) for name in ("good", "bad", "leaky", "random")}
    return {"scores": {**scores, ("roar", "mean"): flat}}


@pytest.mark.parametrize("changes", [{}, unattainable(), {"scores": {}, "ends": {}}])
def test_json_and_back(changes: dict) -> None:
    conclusions = concluded(found(**changes))
    assert conclusions.gains["normalised"].isna().any() == (
        "scores" in changes and "ends" not in changes
    )
    text = json.dumps(conclusions.to_json(), allow_nan=False)
    again = Conclusions.from_json(json.loads(text))
    assert again.to_json() == conclusions.to_json()
    for name, table in vars(conclusions).items():
        if isinstance(table, pd.DataFrame) and len(table):
            pd.testing.assert_frame_equal(getattr(again, name), table, check_dtype=False)


@pytest.mark.slow
def test_removals_are_told_apart_and_agreement_is_that_of_the_first() -> None:
    evidence = found()
    both = {
        **evidence.scores,
        **{(curve, "zero"): v for (curve, removal), v in evidence.scores.items() if removal},
    }
    ends = {
        **evidence.ends,
        **{(curve, "zero"): v for (curve, removal), v in evidence.ends.items()},
    }
    spec = SPEC.model_copy(update={"removals": ("zero", "mean")})
    conclusions = conclude(spec, found(scores=both, ends=ends), majority=MAJORITY, base_scores=BASE)
    counts = conclusions.gains.groupby("removal").size()
    assert counts.to_dict() == {"mean": 16, "zero": 16}
    assert len(conclusions.agreement) == 4
    assert len(conclusions.pairs) == 12


WITHOUT_RETRAINING = ("retrain-once-removed", "retrain-once-kept", "no-retrain")


@pytest.mark.slow
@pytest.mark.parametrize("curves", [WITHOUT_RETRAINING, ("no-retrain",), ("kar",)])
def test_what_was_not_run_is_left_out(curves: tuple[str, ...]) -> None:
    """A pretrained model that cannot be retrained has no ROAR, no KAR and no leak control."""
    everything, whole = found(), concluded()
    wanted = [(curve, "mean") for curve in curves]
    conclusions = concluded(
        found(
            scores={key: everything.scores[key] for key in wanted},
            ends={key: everything.ends[key] for key in wanted},
        )
    )
    protocols = [name for name, parts in COMPARED.items() if parts <= set(curves)]
    assert conclusions.gains["protocol"].unique().tolist() == protocols
    assert conclusions.leaks.empty
    assert list(conclusions.detectable) == protocols
    assert set(conclusions.pairs["protocol"]) == set(protocols)
    pairs = conclusions.agreement[["first", "second"]].values.tolist()
    assert pairs == ([["retrain-once", "no-retrain"]] if len(protocols) == 2 else [])
    # What was run says what it says among the others; what reads masks needs their control.
    columns = ["protocol", "explainer", "gain", "low", "high", "p_holm"]
    same = whole.gains[whole.gains["protocol"].isin(protocols)].reset_index(drop=True)
    pd.testing.assert_frame_equal(conclusions.gains[columns], same[columns])
    of_masks = "untested" if "kar" in curves else "better"
    assert set(by_protocol(conclusions, "verdict").values()) == {of_masks}
    assert set(by_protocol(conclusions, "verdict", "leaky").values()) == {of_masks}
    assert Conclusions.from_json(conclusions.to_json()).to_json() == conclusions.to_json()


def squared(*r2: float, repeats: int = REPEATS) -> np.ndarray:
    """Real scores of one base model with these means: errors of one size, for all examples."""
    shape = (len(r2), repeats, EXAMPLES)
    wave = np.where(np.arange(EXAMPLES) % 2, 0.1, -0.1)
    return (np.array(r2)[:, None, None] + np.broadcast_to(wave, shape)).astype(np.float32)[None]


def test_conclusions_of_real_scores() -> None:
    removing = {
        "good": squared(0.25, -0.5),
        "bad": squared(0.8, 0.4),
        "leaky": squared(0.25, -0.5),
        "random": squared(0.6, 0.2),
    }
    mask = {name: squared(0.0, -0.1, repeats=2) for name in ("good", "bad", "random")}
    mask["leaky"] = squared(0.0, 0.7, repeats=2)
    conclusions = conclude(
        SPEC,
        found(
            scores={("roar", "mean"): removing, ("mask-only", ""): mask},
            ends={("roar", "mean"): squared(0.8, -0.5)},
        ),
        majority=squared(-0.01)[0, 0, 0],
        base_scores=squared(0.8)[0, 0, :1],
    )
    gains = conclusions.gains.set_index("explainer")
    assert gains.loc["good", "gain"] == pytest.approx(0.375 * 0.35 + 0.25 * 0.7)
    assert gains.loc["bad", "gain"] == pytest.approx(0.375 * -0.2 + 0.25 * -0.2)
    attainable = 0.375 * (0.6 + 0.5) + 0.25 * (0.2 + 0.5)
    assert gains.loc["good", "normalised"] == pytest.approx(0.30625 / attainable)
    assert gains["verdict"].to_dict() == {
        "good": "better",
        "bad": "worse",
        "leaky": "withheld",
        "random": "reference",
    }
    told = conclusions.leaks.loc[conclusions.leaks["mask"] == "leaks"]
    assert told[["explainer", "fraction"]].values.tolist() == [["leaky", 0.75]]
    curve = conclusions.curves.query("explainer == 'good'")
    assert curve["value"].tolist() == pytest.approx([0.8, 0.25, -0.5, -0.5])
    # A wave of 0.1 over 200 examples has standard error 0.00709, and t(0.975, 199) is 1.972.
    assert (curve["high"] - curve["value"]).tolist() == pytest.approx([0.01398] * 4, rel=2e-3)
    json.dumps(conclusions.to_json(), allow_nan=False)


def test_what_random_masks_tell_withholds_no_verdict() -> None:
    everything = found()
    mask = dict.fromkeys(("good", "bad", "random"), answers(0.5, 0.5, repeats=2))
    mask["leaky"] = answers(0.5, 0.9, repeats=2)
    conclusions = concluded(found(scores={**everything.scores, ("mask-only", ""): mask}))
    assert set(conclusions.leaks.query("mask != 'clear'")["explainer"]) == {"leaky"}
