"""Time every explainer, against the package a user would pick and against bare model passes.

Both sides run in one process on one thread, with interleaved repeats, and ask the model about the
same number of changed inputs. The bare passes put as many inputs through the model as the explainer
does (and the gradients back, where it takes gradients), in passes of the same size, and do nothing
else: what an explainer takes beyond them is its own.

    python benchmarks/bench_explain.py --repeats 3 --only lime
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from captum import attr
from threadpoolctl import threadpool_limits

import explain_peers as of_networks
import explain_peers_of_models as of_models
from explain_peers import Task, Work
from explain_problems import PROBLEMS, Problem
from uproar.bench.device import keep_freed_memory
from uproar.explain import EXPLAINERS
from uproar.explain.chunks import rows_per_pass
from uproar.explain.coalitions import rows_per_forward
from uproar.explain.family import explain_family
from uproar.explain.names import ExplainerName, parse
from uproar.models.trained import TrainedModel
from uproar.types import Skipped

REPEATS = 3
THREADS = 1
WARM_UP = 2  # examples
LEAST_SECONDS = 0.05  # that are measured at once
FAMILIES = {f"SG, SG-SQ, VAR of {base}": base for base in ("grad", "ig", "gb")}
PREFIXES = ("sg", "sgsq", "var")
MISSING = "–"
WIDTHS = (24, 48, 4, 7, 7, 7, 6, 18, 7, 6, 6)  # of the columns
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
    "lime-package": [("lime", of_networks.lime)],
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
    gc.collect()  # packages leave memory behind, and should not pay for each other's
    times, begun = 0, time.process_time()
    while not times or time.process_time() - begun < LEAST_SECONDS:
        work()
        times += 1
    return (time.process_time() - begun) / times


def rows_of(problem: Problem, title: str, repeats: int) -> Iterator[Row]:
    """Yield one row for every peer of an explainer, or of the three ensembles of one.

    Nothing, when the model cannot be explained this way.
    """
    base = FAMILIES.get(title, title.partition(":")[0])
    name, examples = problem.settings.get(title, (base, problem.examples))
    prefixes = [f"{prefix}-" for prefix in PREFIXES] if title in FAMILIES else [""]
    names = [parse(f"{prefix}{name}") for prefix in prefixes]
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
    peers = peers_of(PEERS.get(title, PEERS.get(base, ())), task, warm_up=not names[0].of_function)
    measured = Measured(problem, names, task, peers)
    for _ in range(repeats):
        measured.once_more()
    yield from measured.rows(name if title not in FAMILIES else title + name.removeprefix(base))


def peers_of(peers: Peers, task: Task, *, warm_up: bool) -> dict[str, Work]:
    """Return those that can do the task, after what they do only once."""
    found = {who: prepared(task) for who, prepared in peers}
    few = replace(task, inputs=task.inputs[:WARM_UP], targets=task.targets[:WARM_UP])
    for who, prepared in peers:
        work = prepared(few) if warm_up and found[who] is not None else None
        if work is not None:
            work()
    return {who: work for who, work in found.items() if work is not None}


@dataclass
class Measured:
    """The times of an explainer, of its bare passes and of its peers, each measured in turn."""

    problem: Problem
    names: Sequence[ExplainerName]
    task: Task
    peers: Mapping[str, Work]
    passes: int = 0
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def held_out(self) -> torch.Tensor | None:
        """The inputs that an explanation of the function is made from."""
        return self.problem.model.held_out[0] if self.names[0].of_function else None

    def once_more(self) -> None:
        examples = len(self.task.inputs)

        def explain() -> None:
            self.passes = explained(self.problem, self.names, examples)

        self.times["uproar"].append(seconds(explain))
        if self.passes:
            inputs = self.task.inputs if self.held_out is None else self.held_out
            gradients = self.names[0].entry().needs.startswith("gradients")
            bare = bare_passes(self.problem.model, inputs, self.passes, gradients=gradients)
            self.times["bare"].append(seconds(bare))
        for who, work in self.peers.items():
            self.times[who].append(seconds(work))

    def rows(self, shown: str) -> Iterator[Row]:
        middle = {who: statistics.median(spent) for who, spent in self.times.items()}
        examples = len(self.task.inputs if self.held_out is None else self.held_out)
        ours, bare = middle["uproar"], middle.get("bare")
        for who in self.peers or ("no peer",):
            spent = middle.get(who)
            yield {
                "problem": self.problem.title,
                "explainer": shown,
                "examples": examples,
                "passes per example": self.passes / examples,
                "uproar, s": ours,
                "bare passes, s": bare or MISSING,
                "times the bare passes": ours / bare if bare else MISSING,
                "peer": who,
                "peer, s": spent or MISSING,
                "peer, times the bare passes": spent / bare if spent and bare else MISSING,
                "times faster": spent / ours if spent else MISSING,
            }


def titles_for(problem: Problem) -> list[str]:
    """Return what is timed for a problem: of trees, what is made for trees, and what is set."""
    kind = problem.model.kind
    fitting = [
        entry
        for entry in EXPLAINERS
        if entry.kind != "control" and (not entry.data_kinds or kind in entry.data_kinds)
    ]
    more = [title for title in problem.settings if ":" in title]
    if problem.estimator is not None:
        return [e.name for e in fitting if e.needs == "tree model" or e.name in problem.settings]
    names = [entry.name for entry in fitting if entry.needs != "attention"]
    return sorted([*FAMILIES, *names, *more], key=lambda title: place(title, names))


def place(title: str, names: Sequence[str]) -> int:
    """Return where a title stands: families first, then as in the registry."""
    return -1 if title in FAMILIES else names.index(title.partition(":")[0])


def table(key: str, repeats: int = REPEATS, only: str = "") -> Iterator[Row]:
    """Yield the rows of one problem."""
    warnings.filterwarnings("ignore")  # of the packages, on every call
    torch.set_num_threads(THREADS)
    keep_freed_memory()  # as runs do: for both sides, and for repeats that can be compared
    with threadpool_limits(THREADS):
        problem = PROBLEMS[key]()
        for title in titles_for(problem):
            if only in {"", title, title.partition(":")[0]}:
                yield from rows_of(problem, title, repeats)


def printed(row: Row) -> str:
    cells = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()]
    return "".join(
        cell.ljust(width) if width > 12 else cell.rjust(width) + "  "
        for cell, width in zip(cells, WIDTHS, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, help="interleaved runs")
    parser.add_argument("--only", default="", help="name of one explainer, without parameters")
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="all by default")
    arguments = parser.parse_args()
    print(f"{THREADS} thread, torch {torch.__version__}; seconds of processor time, medians")
    for key in arguments.problem or PROBLEMS:
        for number, row in enumerate(table(key, arguments.repeats, arguments.only)):
            if not number:
                print(", ".join(row))
            print(printed(row), flush=True)


if __name__ == "__main__":
    main()
