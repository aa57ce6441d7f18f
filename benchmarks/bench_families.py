"""Time the 12 estimators of the ROAR paper: families that share passes, against Captum.

A 64-128-128-10 perceptron and 1,600 digits of 8 x 8 pixels. Both sides run in one process, with
interleaved repeats, the same number of threads and passes of about the same number of rows, and
Captum is handed the noise that uproar draws, so that the two must agree.

    python benchmarks/bench_families.py --repeats 5
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from unittest import mock

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, NoiseTunnel, Saliency
from sklearn.datasets import load_digits
from torch import Tensor, nn

from uproar.explain.family import explain_family
from uproar.explain.names import parse
from uproar.models.trained import TrainedModel

EXAMPLES, SAMPLES, NOISE, STEPS = 1_600, 15, 0.15, 25
BASES = ("grad", "ig", "gb")
ENSEMBLES = {"sg": "smoothgrad", "sgsq": "smoothgrad_sq", "var": "vargrad"}
Maps = dict[str, np.ndarray]
Problem = tuple[TrainedModel, Tensor, Tensor]


def digits_problem() -> Problem:
    """Return a perceptron with random weights, inputs, and the classes it predicts."""
    inputs = torch.tensor(load_digits().data[:EXAMPLES] / 16, dtype=torch.float32)
    torch.manual_seed(0)  # only for the initial weights, which nn.Linear draws globally
    module = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    module.requires_grad_(False).eval()
    model = TrainedModel(module, torch.zeros(64), inputs.mean(0), torch.ones(64), 1)
    return model, inputs, model(inputs).argmax(1)


def in_float64(problem: Problem) -> Problem:
    """Return the problem in double precision, where no ReLU flips by rounding."""
    model, inputs, targets = problem
    black, mean, spread = (part.double() for part in (model.black, model.mean, model.spread))
    module = copy.deepcopy(model.module).double()
    return TrainedModel(module, black, mean, spread, 1), inputs.double(), targets


def noise_generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def by_uproar(problem: Problem, base: str, prefixes: tuple[str, ...]) -> Maps:
    """Explain with the members of one family at once."""
    model, inputs, targets = problem
    names = [parse(f"{prefix}-{base}" if prefix else base) for prefix in prefixes]
    explained = explain_family(
        names[0].load(), names, model, inputs, targets, lambda _: noise_generator()
    )
    return {one.name.name: one.importance for one in explained}


def by_captum(
    problem: Problem, base: str, prefixes: tuple[str, ...], noise: Tensor | None = None
) -> Maps:
    """Explain with the members of one family, one after another; ``noise`` replaces the draws."""
    model, inputs, targets = problem
    method, options = {
        "grad": (Saliency(model.module), {"abs": False}),
        "ig": (
            IntegratedGradients(model.module),
            # One step of all examples a pass: the fastest of the sizes tried for Captum.
            {"n_steps": STEPS, "method": "riemann_right", "internal_batch_size": len(inputs)},
        ),
        "gb": (GuidedBackprop(model.module), {}),
    }[base]
    maps = {}
    for prefix in prefixes:
        if not prefix:
            maps[base] = method.attribute(inputs, target=targets, **options).detach().numpy()
            continue
        with mock.patch("torch.normal", replay(noise) if noise is not None else torch.normal):
            maps[f"{prefix}-{base}"] = (
                NoiseTunnel(method)
                .attribute(
                    inputs,
                    nt_type=ENSEMBLES[prefix],
                    nt_samples=SAMPLES,
                    nt_samples_batch_size=1,
                    stdevs=NOISE,
                    target=targets,
                    **options,
                )
                .detach()
                .numpy()
            )
    return maps


def replay(noise: Tensor) -> Callable[[float, Tensor], Tensor]:
    """Return a stand-in for ``torch.normal`` that hands out the samples of ``noise`` in turn."""
    samples = iter(noise)
    return lambda mean, deviations: mean + deviations * next(samples)


def difference(problem: Problem, base: str, prefixes: tuple[str, ...]) -> float:
    """Return the largest difference for the same noise, as a share of each map's largest value."""
    generator, like = noise_generator(), problem[1]
    draws = [torch.randn(like.shape, generator=generator, dtype=like.dtype) for _ in range(SAMPLES)]
    ours = by_uproar(problem, base, prefixes)
    theirs = by_captum(problem, base, prefixes, torch.stack(draws))
    gaps = [np.abs(ours[name] - theirs[name]).max() / np.abs(ours[name]).max() for name in theirs]
    return float(max(gaps))


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rows(repeats: int = 5) -> list[dict[str, str | float]]:
    """Return one row per family, and one for all 12: median seconds, ratio, difference.

    The family rows are SG, SG-SQ and VAR of a base; the row of all 12 adds the three plain bases.
    """
    problem = digits_problem()
    cases = {f"SG, SG-SQ, VAR of {base}": (base, tuple(ENSEMBLES)) for base in BASES}
    cases |= {base: (base, ("",)) for base in BASES}
    differences = {what: difference(in_float64(problem), *case) for what, case in cases.items()}
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(repeats):
        for what, case in cases.items():
            times[what, "uproar"].append(seconds(partial(by_uproar, problem, *case)))
            times[what, "captum"].append(seconds(partial(by_captum, problem, *case)))
    for who in ("uproar", "captum"):
        runs = zip(*(times[what, who] for what in cases), strict=True)
        times["all 12", who] = [sum(run) for run in runs]
    differences["all 12"] = max(differences.values())
    return [row(what, times, differences[what]) for what in differences if what not in BASES]


def row(
    what: str, times: Mapping[tuple[str, str], list[float]], largest: float
) -> dict[str, str | float]:
    ours, theirs = (statistics.median(times[what, who]) for who in ("uproar", "captum"))
    return {
        "what": what,
        "uproar seconds": ours,
        "captum seconds": theirs,
        "times faster": theirs / ours,
        "largest difference": largest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="interleaved runs of each side")
    arguments = parser.parse_args()
    print(f"{EXAMPLES} digits, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'what':24}{'uproar s':>10}{'Captum s':>10}{'faster':>9}{'difference':>12}")
    for line in rows(arguments.repeats):
        what, ours, theirs, ratio, largest = line.values()
        print(f"{what:24}{ours:10.3f}{theirs:10.3f}{ratio:8.1f}x{largest:12.1e}")


# Captum tells on every call that it registers hooks; that is no fault of the measurement.
warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
warnings.filterwarnings("ignore", message="Input Tensor 0 did not already require gradients")

if __name__ == "__main__":
    main()
