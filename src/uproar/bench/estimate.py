"""What a run would cost, from counting its cells and from a short calibration."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from uproar.bench.benchmark import Benchmark, workers_of
from uproar.bench.worker import Worker
from uproar.duration import duration
from uproar.models.training.batches import SharedInputs
from uproar.plan.job import ALL
from uproar.plan.plan import Plan
from uproar.plan.repeats import repeats_of
from uproar.protocols.ranks import Ranks
from uproar.protocols.roar import roar
from uproar.types import Skipped

CALIBRATION_EPOCHS = 2
CALIBRATION_ARMS = 4
CALIBRATION_EXAMPLES = 1024
BYTES_OF_TORCH = 350e6  # resident once imported, with what else a run imports
FLOAT_BYTES = 4
FAMILY = 6  # explainers that share their passes, at most, of those that run by default


@dataclass(frozen=True)
class Cost:
    """Counts are exact, unless explainers rank alike and share trainings; the rest is estimated."""

    cells: int
    trainings: int
    seconds: float
    disk_bytes: float
    memory_bytes: float
    passes: float  # of single examples through the base models, to explain them
    dearest: str  # the family of explainers that takes most of them
    dearest_share: float

    def rows(self) -> list[tuple[str, str]]:
        """Return what people read."""
        return [
            ("cells", f"{self.cells:,}"),
            ("trainings", f"{self.trainings:,} (fewer where explainers rank alike)"),
            ("explaining", self._explaining()),
            ("time", f"about {duration(math.ceil(self.seconds))} on this machine"),
            ("disk", f"about {math.ceil(self.disk_bytes / 1e6)} MB"),
            ("memory", f"about {self.memory_bytes / 1e9:.1f} GB"),
        ]

    def _explaining(self) -> str:
        text = f"{math.ceil(self.passes):,} passes of an example through the model"
        if self.passes:
            text += f", {self.dearest_share:.0%} of them for {self.dearest}"
        return text


def estimate(benchmark: Benchmark) -> Cost:
    """Estimate the cost of a run; nothing is stored.

    Trains one small group for two epochs and takes all other work to scale with its epochs.

    :raises UproarError: when the spec or the data are wrong.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from uproar.plan.spec import Spec
    >>> spec = Spec.from_mapping({"data": "digits", "explainers": "random,grad", "repeats": 2})
    >>> with tempfile.TemporaryDirectory() as out:
    ...     cost = estimate(Benchmark(spec, Path(out), log=lambda line: None, quiet=True))
    >>> cost.trainings  # 2 base, 2 retrain-once, 4 shared ends, 2 × (10 + 10 + 10)
    68
    """
    worker = benchmark.prepare().opened()
    plan = worker.plan
    jobs = plan.prospective_jobs()
    work = sum(job.weight for job in jobs)
    seconds = _seconds_per_epoch(worker) * work / workers_of(worker)
    data, explained = worker.data, len(plan.names) * plan.spec.base_models
    passes = {family: plan.sizes.all_passes(members) for family, members in plan.families.items()}
    dearest = max(passes, key=passes.__getitem__)
    examples = len(data.train) + len(data.test)
    rank_bytes = np.min_scalar_type(data.features - 1).itemsize * data.features * examples
    kept = min(plan.spec.kept_examples, len(data.test))
    rank_bytes += FLOAT_BYTES * data.features * kept  # the importance that stays with them
    inputs = FLOAT_BYTES * math.prod(data.input_shape) * (examples + len(data.validation))
    return Cost(
        cells=len(jobs),
        trainings=sum(job.trainings for job in jobs) + _refits(plan),
        seconds=seconds,
        disk_bytes=explained * rank_bytes + _answer_bytes(plan, len(data.test)),
        # Inputs, what stands in for them, and the rankings of one family at a time.
        memory_bytes=BYTES_OF_TORCH + 3 * inputs + FAMILY * rank_bytes * workers_of(worker),
        passes=plan.spec.base_models * sum(passes.values()),
        dearest=dearest,
        dearest_share=passes[dearest] / max(sum(passes.values()), 1),
    )


def _refits(plan: Plan) -> int:
    """Return how many models are trained to explain those that there are."""
    once = sum(plan.sizes.trainings(members) for members in plan.families.values())
    return once * plan.spec.base_models


def _seconds_per_epoch(worker: Worker) -> float:
    """Train a small group for few epochs, once to warm up and once by the clock.

    A part of the training examples serves, so that large models and data are not waited for.
    """
    experiment, ranking = worker.experiment(worker.plan.spec.removals[0]), worker.ranking(ALL)
    examples = len(experiment.train_labels)
    part = slice(0, min(examples, CALIBRATION_EXAMPLES))
    epochs = min(CALIBRATION_EPOCHS, experiment.recipe.epochs)
    short = replace(
        experiment,
        train=_part_of(experiment.train, part),
        train_labels=experiment.train_labels[part],
        recipe=replace(experiment.recipe, epochs=epochs),
    )
    lengths = None if ranking.train.lengths is None else ranking.train.lengths[part]
    ranks = replace(ranking, train=Ranks(ranking.train.values[part], lengths))
    torch.set_num_threads(1)  # as cells run
    for _ in range(2):
        begun = time.perf_counter()
        try:
            roar(short, ranks, fractions=[0.5] * CALIBRATION_ARMS, seeds=[0])
        except Skipped:
            return 0.0  # a model that is never trained
        spent = time.perf_counter() - begun
    return spent / (CALIBRATION_ARMS * epochs) * examples / (part.stop - part.start)


def _part_of(shared: SharedInputs, part: slice) -> SharedInputs:
    return replace(
        shared,
        inputs=shared.inputs[part],
        fill=shared.fill if len(shared.fill) == 1 else shared.fill[part],
        present=None if shared.present is None else shared.present[part],
    )


def _answer_bytes(plan: Plan, examples: int) -> float:
    """Return the bytes of the answers, one bit for each test example and model scored."""
    points = len(plan.names) * len(plan.inner)
    scored = sum(
        len(p.curves) * (repeats_of(plan.spec, p) or plan.spec.base_models) for p in plan.protocols
    )
    return points * examples / 8 * scored
