"""Runs by folds from end to end: every example is tested once, by a model that never saw it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.support.kinds import images, series
from tests.support.small_runs import TUMOURS, benchmark, run, silent
from uproar import Recipe, Result, UproarError, evaluate
from uproar.bench.work import Work
from uproar.plan.spec import Spec

FOLDED = {
    **{key: value for key, value in TUMOURS.items() if key != "base_models"},
    "source": {"folds": 3},
}


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Result:
    return run(FOLDED, tmp_path_factory.mktemp("folded") / "run")


def test_every_example_is_tested_once(folded: Result) -> None:
    table = folded.table
    tested = table[table["explainer"] == "grad"]
    by_fold = tested.groupby(["protocol", "fraction", "base_model"])["n"].sum()
    assert (by_fold.groupby(["protocol", "fraction"]).sum() == 569).all()
    assert sorted(table["base_model"].unique().tolist()) == [0, 1, 2]
    assert len(folded.plan.data_jobs) == 3


def test_folds_are_the_level_of_the_error(folded: Result) -> None:
    error = folded.conclusions.error
    units = error[error["protocol"] == "roar"].set_index("level")["units"]
    assert units.to_dict() == {"folds": 3, "repeats": 1, "examples": 569}
    assert folded.conclusions.gains["gain"].notna().all()


def test_what_people_read_speaks_of_folds(folded: Result) -> None:
    assert "split seed 0, 3 folds, 3 repeats, removal by mean" in folded.quote()
    assert "3 repeats, 3 folds, split seed 0" in folded.to_latex()
    page = folded.to_html().read_text()
    assert "each tested by a base model that never saw it" in page
    assert "more folds" in folded.next_step.lower()
    assert "five folds" not in folded.next_step


def test_a_fold_is_explained_by_its_own_base_model(folded: Result) -> None:
    bases = [outcome.arrays["targets/test"] for outcome in folded.bases]
    assert [len(targets) for targets in bases] == [190, 190, 189]
    families = {"grad", "random"}
    keys = {job.cell.key for job in folded.plan.explain_jobs()}
    assert len(keys) == 3 * len(families)


def test_the_same_folds_have_the_same_bytes(folded: Result, tmp_path) -> None:
    again = run(FOLDED, tmp_path / "again")
    assert (again.out / "results.parquet").read_bytes() == (
        folded.out / "results.parquet"
    ).read_bytes()
    lines: list[str] = []
    assert benchmark(FOLDED, folded.out, log=lines.append).run().complete
    assert lines == [f"already finished: {folded.out}"]


def test_work_that_was_sent_away_opens_the_fold_that_is_asked_for(tmp_path) -> None:
    spec = Spec.from_mapping(FOLDED).checked()
    work = pickle.loads(pickle.dumps(Work(spec, tmp_path).settled()))
    facts = [work(job).values["test"] for job in work.opened().plan.data_jobs]
    assert facts == [190, 190, 189]
    assert len({work.opened(fold).data.digest() for fold in range(3)}) == 3


@pytest.mark.slow
@pytest.mark.parametrize("make", [series, images])
def test_data_in_memory(make, tmp_path) -> None:
    (train, labels), (test, others) = make()
    values, answers = np.concatenate([train, test]), np.concatenate([labels, others])
    result = evaluate(
        "linear",
        (values, answers),
        folds=3,
        explainers=["abs-ig"],
        protocols=["retrain-once"],
        fractions=[0.3],
        repeats=3,
        recipe=Recipe(epochs=8, learning_rate=2e-2),
        retrain_once_epochs=8,
        out=tmp_path,
        log=silent,
        quiet=True,
    )
    gains = result.conclusions.gains.set_index("explainer")
    assert gains.loc["abs-ig", "gain"] > 0
    rows = result.table[result.table["explainer"] == "abs-ig"]
    assert rows.groupby("protocol")["n"].sum().unique().tolist() == [len(answers)]


def test_estimators_are_folded(tmp_path) -> None:
    result = run({**FOLDED, "model": "sklearn:LogisticRegression", "explainers": "occlusion",
                  "protocols": "roar,mask-only"}, tmp_path)  # fmt: skip
    assert result.complete
    assert "3 folds" in result.quote()


def arrays():
    random = np.random.default_rng(0)
    inputs = random.standard_normal((90, 4)).astype("float32")
    return inputs, (inputs[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("model", "asked", "message"),
    [
        (
            lambda inputs: inputs[:, :2],
            {},
            "each fold is tested by a model that was trained without",
        ),
        ("linear", {"test": arrays()}, "folds=3: every example is tested once, but there are test"),
        ("linear", {"base_models": 5}, "each of the 3 folds has one base model, not 5 in all"),
    ],
    ids=["trained", "test", "base models"],
)
def test_what_cannot_be_folded_is_refused_before_anything_is_trained(
    model, asked, message, tmp_path
) -> None:
    with pytest.raises(UproarError, match=message):
        evaluate(
            model,
            arrays(),
            folds=3,
            explainers=["random"],
            out=tmp_path,
            log=silent,
            quiet=True,
            **asked,
        )
