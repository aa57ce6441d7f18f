"""A protocol is one function and one record: everything else finds it by itself."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import uproar
from tests.support.small_runs import benchmark, run
from uproar.bench.estimate import estimate
from uproar.cli.show import show
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.protocols import PROTOCOLS
from uproar.protocols.experiment import Experiment, Scores
from uproar.protocols.protocol import Curve, Protocol
from uproar.protocols.ranks import Ranking
from uproar.protocols.roar import kar
from uproar.results.content import content_of
from uproar.results.curves import curves
from uproar.results.result import Result
from uproar.run.cell import Outcome

SOURCE = Path(uproar.__file__).parent
READING = "Only the least important features kept, model retrained. Lower is better."
EXPLAINERS = ("true-ranking", "shuffled-ranking", "inverted-ranking", "random")
TOY = {
    "data": "hooker-toy",
    "explainers": EXPLAINERS,
    "fractions": [0.5, 0.75],
    "repeats": 2,
    "base_models": 1,
    "retrain_once_epochs": 5,
    "bootstrap_draws": 400,
}


def keep_least(
    experiment: Experiment, ranking: Ranking, *, fractions: Sequence[float], seeds: Sequence[int]
) -> Scores:
    """Keep only the least important features, retrain, and return what is still answered well."""
    least = Ranking(ranking.train.reversed(), ranking.test.reversed())
    return kar(experiment, least, fractions=fractions, seeds=seeds)


KEEP_LEAST = Protocol(
    name="keep-least",
    summary="keep only the least important features, retrain, see accuracy fall",
    path=f"{__name__}:keep_least",
    paper="Shah et al. 2021, arXiv 2102.12781",
    curves=(Curve("keep-least", "lower", reading=READING, keeps=True),),
    ends="roar",
    reads_own_masks=True,
)


@pytest.fixture(scope="module")
def added() -> Iterator[None]:
    # Whoever reads the register asks the functions beside it: it is replaced in this one place.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uproar.protocols.PROTOCOLS", (*PROTOCOLS, KEEP_LEAST))
        yield


@pytest.fixture(scope="module")
def result(added: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    values = {**TOY, "protocols": "roar,keep-least,retrain-once,mask-only"}
    return run(values, tmp_path_factory.mktemp("added") / "run")


@pytest.fixture(scope="module")
def alone(added: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run({**TOY, "protocols": "keep-least"}, tmp_path_factory.mktemp("alone") / "run")


def printed(result: Result, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(result, console)
    return console.file.getvalue()


def test_every_sort_of_protocol_finds_its_models_and_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice = replace(KEEP_LEAST, name="twice", asks="once", ends="", curves=(Curve("a", "lower"),))
    kept = (Curve("untouched-kept", "higher", keeps=True),)
    untouched = replace(
        twice, name="untouched", asks="base model", question="reliance", ends="no-retrain",
        curves=kept,
    )  # fmt: skip
    monkeypatch.setattr("uproar.protocols.PROTOCOLS", (*PROTOCOLS, twice, untouched))
    spec = Spec.from_mapping({**TOY, "protocols": "twice,untouched", "base_models": 2})
    plan = Plan(spec.checked())
    # The models that are trained once, for each base model, serve all that ask them.
    once, other = plan.once_jobs()
    assert once.kind == "retrain-once-model"
    ends = [(job.kind, job.base, job.asked) for job in plan.end_jobs()]
    assert ends == [
        *[("no-retrain", 0, ""), ("no-retrain", 1, "")],
        *[("twice", 0, once.cell.key), ("twice", 1, other.cell.key)],
    ]
    jobs = plan.curve_jobs({(0, "random"): "d", (1, "random"): "e"})
    assert [(job.kind, job.trainings, bool(job.asked)) for job in jobs] == [
        *[("twice", 0, True)] * 2,
        *[("untouched", 0, False)] * 2,
    ]
    scores = np.arange(2, dtype=np.float32)[:, None, None]  # 1 with everything removed
    measured = curves({plan.end_jobs()[0]: Outcome({}, {"no-retrain": scores})})
    assert {one.name: one.scores.ravel().tolist() for one in measured} == {
        "no-retrain": [0.0, 1.0],
        "untouched-kept": [1.0, 0.0],
    }


def test_what_a_function_returns_has_to_be_one_for_each_curve() -> None:
    with pytest.raises(ValueError, match="zip"):
        KEEP_LEAST.by_curve((1, 2))


@pytest.mark.usefixtures("added")
def test_the_plan_counts_it(tmp_path: Path) -> None:
    cost = estimate(benchmark({**TOY, "protocols": "keep-least"}, tmp_path / "run"))
    # 1 base model, the 2 shared ends of ROAR, 4 explainers at 2 fractions; 2 repeats.
    assert cost.trainings == 1 + 2 * 2 + 4 * 2 * 2
    both = estimate(benchmark({**TOY, "protocols": "roar,keep-least"}, tmp_path / "run"))
    assert both.trainings == cost.trainings + 4 * 2 * 2
    assert both.disk_bytes > cost.disk_bytes


@pytest.mark.slow
def test_its_scores_are_in_the_results_with_the_shared_ends(result: Result) -> None:
    table = pd.read_parquet(result.out / "results.parquet").query("protocol == 'keep-least'")
    assert set(table["direction"]) == {"lower"}
    assert set(table["explainer"]) == {*EXPLAINERS, "all"}
    curves = result.conclusions.curves.set_index(["protocol", "explainer", "fraction"])["value"]
    kept, removed = curves["keep-least"]["true-ranking"], curves["roar"]["true-ranking"]
    assert list(kept.index) == [0.0, 0.5, 0.75, 1.0]
    # To keep nothing is to remove everything, and the other way round.
    assert (kept[0.0], kept[1.0]) == (removed[1.0], removed[0.0])
    # Twelve of sixteen columns without the four that tell the label know nothing.
    assert kept[0.75] < 0.6 < curves["keep-least"]["inverted-ranking"][0.75]


@pytest.mark.slow
def test_the_leaderboard_has_its_gain(result: Result) -> None:
    board = pd.read_csv(result.out / "leaderboard.csv").set_index("explainer")
    assert board.loc["true-ranking", "keep_least_gain"] > 0
    assert board.loc["inverted-ranking", "keep_least_gain"] < 0
    assert {"keep_least_low", "keep_least_high"} <= set(board.columns)
    gains = result.conclusions.gains.set_index(["protocol", "explainer"])
    assert gains.loc[("keep-least", "true-ranking"), "verdict"] == "better"
    assert "keep-least" in result.conclusions.detectable
    assert "keep-least" in set(result.conclusions.pairs["protocol"])


def test_it_is_held_against_the_others_that_ask_the_same(result: Result) -> None:
    table = result.conclusions.agreement.set_index(["first", "second"])["spearman"]
    assert list(table.index) == [
        ("roar", "retrain-once"),
        ("roar", "keep-least"),
        ("retrain-once", "keep-least"),
    ]
    assert table["roar", "keep-least"] > 0


def test_terminal_and_papers_show_it(result: Result) -> None:
    assert re.search(r"ROAR .* retrain-once .* keep-least", printed(result))
    header = result.to_latex().split(r"\toprule")[1].split(r"\\")[0]
    columns = "explainer & ROAR & retrain-once & keep-least & mask only & verdict"
    assert header.strip() == columns
    assert [panel.get_title() for panel in result.plot().axes][-1] == "keep-least"


@pytest.mark.slow
def test_alone_it_orders_the_leaderboard_and_has_no_verdicts_without_the_control(
    alone: Result,
) -> None:
    board = pd.read_csv(alone.out / "leaderboard.csv")
    assert board["explainer"].iloc[0] == "true-ranking"
    verdicts = dict(zip(board["explainer"], board["verdict"], strict=True))
    others = ("true-ranking", "inverted-ranking", "shuffled-ranking")
    assert verdicts == {"random": "reference", **dict.fromkeys(others, "untested")}
    assert set(board["reason"].dropna()) == {"no leak control"}
    shown = printed(alone)
    assert re.search(r"explainer .* keep-least .* keep-least verdict", shown)
    assert "mask-only was not run: ROAR, KAR and keep-least have no verdicts" in shown


def test_the_page_is_told_of_it(result: Result) -> None:
    table = content_of(result).protocols.set_index("curve")
    assert list(table["protocol"]) == [
        *("roar", "kar", "mask-only", "retrain-once", "retrain-once", "no-retrain", "keep-least")
    ]
    told = table.loc["keep-least"].to_dict()
    assert told == {
        "protocol": "keep-least",
        "short": "keep-least",
        "meaning": "Keep only the least important features, retrain, see accuracy fall.",
        "gain": "Area between random's curve and the explainer's by keep-least; positive is good",
        "question": "information",
        "compared": True,
        "reads_own_masks": True,
        "ordering": 3,
        "direction": "lower",
        "keeps": True,
        "title": "keep-least",
        "reading": READING,
    }
    order = table.drop_duplicates("protocol").set_index("protocol")["ordering"].to_dict()
    believed = ("retrain-once", "roar", "kar", "keep-least", "no-retrain", "mask-only")
    assert order == {name: place for place, name in enumerate(believed)}


@pytest.mark.slow
def test_the_page_shows_it(result: Result, alone: Result) -> None:
    page = (result.out / "report.html").read_text(encoding="utf-8")
    assert READING in page
    assert "keep-least gain" in page.lower()
    sentence = alone.quote()
    assert "keep-least" in sentence
    assert "3 not tested (no leak control)" in sentence


def sources(*endings: str) -> list[Path]:
    files = [path for ending in endings for path in sorted(SOURCE.rglob(f"*{ending}"))]
    return [file for file in files if SOURCE / "protocols" not in file.parents]


def test_no_protocol_is_named_outside_its_folder() -> None:
    names = "|".join(re.escape(protocol.name) for protocol in PROTOCOLS)
    named = re.compile(rf"""["']({names})\b""")
    for file in sources(".py", ".j2"):
        lines = [line.lstrip() for line in file.read_text(encoding="utf-8").splitlines()]
        code = [line for line in lines if not line.startswith((">>> ", "... "))]
        found = [line for line in code if named.search(line)]
        assert not found, f"{file.relative_to(SOURCE)}: {found}"


@pytest.mark.slow
def test_no_column_of_a_protocol_is_named_outside_its_folder() -> None:
    columns = {
        f"{protocol.column}{part}"
        for protocol in PROTOCOLS
        for part in ("", "_gain", "_low", "_high")
    }
    for file in sources(".py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not texts & columns, file.relative_to(SOURCE)
