"""Time every explainer, against the package a user would pick and against bare model passes.

Both sides run in one process on one thread, with interleaved repeats, and ask the model about the
same number of changed inputs. The bare passes put as many inputs through the model as the explainer
does (and the gradients back, where it takes gradients), in passes of the same size, and do nothing
else: what an explainer takes beyond them is its own.

    python benchmarks/bench_explain.py --repeats 3 --only lime
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from captum import attr
from threadpoolctl import threadpool_limits

import explain_peers as of_networks
import explain_peers_of_models as of_models
from explain_peers import Task, Work
from explain_problems import PROBLEMS, Problem
from uproar.device import keep_freed_memory
from uproar.explain import EXPLAINERS
from uproar.explain.coalitions import rows_per_forward
from uproar.explain.family import explain_family
from uproar.explain.names import ExplainerName, parse
from uproar.explain.passes import rows_per_pass
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

REPEATS = 3
WARM_UP = 2  # examples
LEAST_SECONDS = 0.05  # that are measured at once
FAMILIES = {f"SG, SG-SQ, VAR of {base}": base for base in ("grad", "ig", "gb")}
PREFIXES = ("sg", "sgsq", "var")
Row = dict[str, Any]
Peers = Sequence[tuple[str, Callable[[Task], Work | None]]]

PEERS: dict[str, Peers] = {
    **{title: [("captum", of_networks.noisy(base))] for title, base in FAMILIES.items()},
    "grad": [("captum", of_networks.attributed(attr.Saliency, abs=False))],
    "input-x-grad": [("captum", of_networks.attributed(attr.InputXGradient))],
    "ig": [("captum", of_networks.integrated)],
    "gb": [("captum", of_networks.attributed(attr.GuidedBackprop))],
    "deconvnet": [("captum", of_networks.attributed(attr.Deconvolution))],
    "expected-grad": [
        ("captum", of_networks.gradient_shap),
        ("shap", of_networks.expected_gradients),
    ],
    "occlusion": [("captum", of_networks.occlusion)],
    "rise": [("a plain loop", of_networks.rise)],
    "lime": [("lime", of_networks.lime)],
    "kernel-shap": [("shap", of_networks.kernel_shap)],
    "deeplift": [("captum", of_networks.attributed(attr.DeepLift))],
    "deeplift-shap": [("captum", of_networks.deeplift_shap)],
    "gradient-shap": [("captum", of_networks.gradient_shap)],
    "lrp": [("captum", of_networks.relevance)],
    "shapley-sampling": [("captum", of_networks.shapley_sampling)],
    "grad-cam": [("captum", of_networks.at_layer(attr.LayerGradCam, relu_attributions=True))],
    "guided-grad-cam": [("captum", of_networks.at_layer(attr.GuidedGradCam))],
    "layer-grad-x-activation": [("captum", of_networks.at_layer(attr.LayerGradientXActivation))],
    "layer-conductance": [("captum", of_networks.at_layer(attr.LayerConductance))],
    "shap-kernel": [("shap", of_networks.kernel_shap)],
    "shap-permutation": [("shap", of_networks.permutation_shap)],
    "shap-deep": [("shap", of_networks.deep_shap)],
    "shap-gradient": [("shap", of_networks.expected_gradients)],
    "lime-package": [("lime", of_networks.lime_package)],
    "shap-tree": [("shap", of_models.shap_of_trees)],
    "tree-shap": [
        ("shap", of_models.shap_of_trees),
        ("its library", of_models.of_library(approximate=False)),
    ],
    "saabas": [
        ("shap", of_models.saabas),
        ("its library", of_models.of_library(approximate=True)),
    ],
    "pfi": [("scikit-learn", of_models.permutation_importance)],
    "sage": [("sage-importance", of_models.sage)],
    "impurity": [("its library", of_models.importances("impurity"))],
    "gain": [("its library", of_models.importances("gain"))],
}


def explained(problem: Problem, names: Sequence[ExplainerName], examples: int) -> int:
    """Explain with a family, and return how many inputs went through the model.

    :raises Skipped: when the model cannot be explained this way.
    """
    base, model = names[0].load(), problem.model
    if names[0].of_function:
        before = model.passes.examples
        with model.counting() as counted:
            base.measure(model, torch.Generator().manual_seed(0))
        return counted.examples - before
    inputs, targets = problem.inputs[:examples], problem.targets[:examples]
    found = list(
        explain_family(
            base, names, model, inputs, targets, lambda _: torch.Generator().manual_seed(0)
        )
    )
    return round(found[0].passes * examples)


def bare_passes(model: TrainedModel, inputs: torch.Tensor, rows: int, *, gradients: bool) -> Work:
    """Return the passes of ``rows`` inputs, and nothing else."""
    size = min(rows, rows_per_pass(inputs) if gradients else rows_per_forward(model, inputs))
    points = inputs.repeat(-(-size // len(inputs)), *[1] * (inputs.ndim - 1))[:size]
    targets = torch.zeros(size, dtype=torch.int64)

    def work() -> None:
        for start in range(0, rows, size):
            count = min(size, rows - start)
            if gradients:
                model.gradient(points[:count], targets[:count])
            else:
                with torch.inference_mode():
                    model(points[:count])

    return work


def seconds(work: Callable[[], object]) -> float:
    """Return processor time, which other processes take no part of: all run on one thread."""
    times, begun = 0, time.process_time()
    while not times or time.process_time() - begun < LEAST_SECONDS:
        work()
        times += 1
    return (time.process_time() - begun) / times


def rows_of(problem: Problem, title: str, repeats: int) -> Iterator[Row]:
    """Yield one row for every peer of an explainer, or of the three ensembles of one.

    Nothing, when the model cannot be explained this way.
    """
    base = FAMILIES.get(title, title)
    name, examples = problem.setting(title if title in problem.settings else base)
    options = name.removeprefix(base)
    prefixes = [f"{prefix}-" for prefix in PREFIXES] if title in FAMILIES else [""]
    names = [parse(f"{prefix}{base}{options}") for prefix in prefixes]
    entry, model = names[0].entry(), problem.model
    of_function = names[0].of_function
    try:
        explained(problem, names, WARM_UP)
    except Skipped:
        return
    task = Task(
        problem,
        problem.inputs[:examples],
        problem.targets[:examples],
        dict(names[0].base_parameters),
    )
    peers = {who: prepared(task) for who, prepared in PEERS.get(title, ())}
    few = replace(task, inputs=task.inputs[:WARM_UP], targets=task.targets[:WARM_UP])
    for _, prepared in PEERS.get(title, ()):
        work = prepared(few)
        if work is not None and not of_function:
            work()  # imports, and whatever else happens once
    times: dict[str, list[float]] = {}
    passes: list[int] = []

    def timed(who: str, work: Work) -> None:
        times.setdefault(who, []).append(seconds(work))

    for _ in range(repeats):
        timed("uproar", lambda: passes.append(explained(problem, names, examples)))
        passed = passes[-1]
        if passed:
            shown = model.held_out[0] if of_function else task.inputs
            gradients = entry.needs.startswith("gradients")
            timed("bare", bare_passes(model, shown, passed, gradients=gradients))
        for who, work in peers.items():
            if work is not None:
                timed(who, work)
    middle = {who: statistics.median(spent) for who, spent in times.items()}
    asked = len(model.held_out[1]) if of_function and passed else examples
    found = [(who, middle[who]) for who, work in peers.items() if work is not None]
    for who, spent in found or [("no peer", float("nan"))]:
        yield {
            "problem": problem.title,
            "explainer": title if title in FAMILIES else name,
            "examples": asked,
            "passes": passed / asked,
            "uproar s": middle["uproar"],
            "bare s": middle.get("bare", float("nan")),
            "times bare": middle["uproar"] / middle.get("bare", float("nan")),
            "peer": who,
            "peer s": spent,
            "times faster": spent / middle["uproar"],
        }


def titles_for(problem: Problem) -> list[str]:
    """Return what is timed for a problem: of trees, what is made for trees, and pfi."""
    names = [entry.name for entry in EXPLAINERS if entry.kind != "control"]
    if problem.estimator is not None:
        made = {entry.name for entry in EXPLAINERS if entry.needs == "tree model"} | {"pfi"}
        return [name for name in names if name in made]
    return [*FAMILIES, *(name for name in names if not name.startswith("attention"))]


def table(key: str, repeats: int = REPEATS, only: str = "") -> Iterator[Row]:
    """Yield the rows of one problem."""
    warnings.filterwarnings("ignore")  # of the packages, on every call
    logging.getLogger("lightgbm").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    keep_freed_memory()  # as runs do: for both sides, and for repeats that can be compared
    with threadpool_limits(1):
        problem = PROBLEMS[key]()
        wanted = [title for title in titles_for(problem) if only in {"", title}]
        for title in wanted:
            yield from rows_of(problem, title, repeats)


def shown(row: Row) -> str:
    cells = [
        f"{value:.3g}".replace("nan", "-") if isinstance(value, float) else str(value)
        for value in row.values()
    ]
    widths = (24, 48, 9, 9, 9, 9, 11, 16, 9, 9)
    return "".join(
        cell.ljust(width) if width > 11 else cell.rjust(width)
        for cell, width in zip(cells, widths, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help="interleaved runs")
    parser.add_argument("--only", default="", help="name of one explainer, without parameters")
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="all by default")
    arguments = parser.parse_args()
    for key in arguments.problem or PROBLEMS:
        begun = time.perf_counter()
        for row in table(key, arguments.repeats, arguments.only):
            print(shown(row), flush=True)
        print(f"{key}: {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
