"""Does the work of every kind of cell: here the science meets data, device and stored outcomes."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uproar.bench.base_model import Predictions, chance_p_value, facts_of, predictions_of
from uproar.bench.device import keep_freed_memory
from uproar.bench.examples import gallery_examples, kept_examples
from uproar.bench.experiments import Experiments
from uproar.bench.explaining import FUNCTION, explain
from uproar.bench.refits import without_each
from uproar.dataset import PARTS, Data
from uproar.models.learner import Fitted, Learner
from uproar.models.trained import TrainedModel
from uproar.models.view import HELD_OUT, view_of
from uproar.plan.job import ALL, KEPT, TIES, Job, ranking_cell
from uproar.plan.plan import Plan
from uproar.protocols import find_protocol, trained_once
from uproar.protocols.experiment import Experiment, arms
from uproar.protocols.ranks import Ranking
from uproar.protocols.retrain_once import train_once
from uproar.run.cell import Cell, Outcome
from uproar.run.store import Store
from uproar.seeding import seed_of

STATE = "state/"


@dataclass(frozen=True)
class Worker:
    """Computes the outcomes of jobs.

    ``once`` trains the models that are trained once for all; it is the ``learner``, unless that
    cannot train. ``given`` is the base model, where it was trained before. ``explainers`` are
    callables that were handed over in Python, by name. ``notes`` say what was decided of data and
    model.
    """

    plan: Plan
    data: Data
    learner: Learner
    once: Learner
    store: Store
    device: torch.device
    given: Fitted | None = None
    explainers: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _kept: dict[str, Fitted] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, job: Job) -> Outcome:
        """Return the outcome of one job, with the seconds that it took."""
        if self.device.type == "cpu":
            # Cells run side by side, one thread each: faster than sharing every small operation
            # among all cores, and the same numbers whatever the number of cores.
            torch.set_num_threads(1)
            keep_freed_memory()
        begun = time.perf_counter()
        work = self._measure if job.protocol else self._kinds[job.kind]
        outcome = work(job)
        seconds = {**outcome.seconds, "all": time.perf_counter() - begun}
        return replace(outcome, seconds=seconds, provenance=self.provenance)

    @cached_property
    def _kinds(self) -> dict[str, Callable[[Job], Outcome]]:
        return {
            "data": self._data,
            "base-model": self._base_model,
            "explain": self._explain,
            trained_once().models: self._once_model,
        }

    @cached_property
    def provenance(self) -> dict[str, str]:
        """Versions and device: what may differ without changing what a number means."""
        device = torch.cuda.get_device_name() if self.device.type == "cuda" else platform.machine()
        return {
            "device": f"{self.device.type} ({device})",
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        }

    @cached_property
    def _settings(self) -> Experiments:
        return Experiments(self.plan.spec, self.data, self.learner, self.store, self.device)

    def experiment(self, removal: str) -> Experiment:
        """Return the experiment under a removal; without one, one for whole inputs."""
        return self._settings.of(removal)

    def ranking(self, digest: str) -> Ranking:
        """Return the ranking of a digest; for :data:`ALL` feature order."""
        return self._settings.ranking(digest)

    def _fitted(self, cell: Cell, learner: Learner, fit: Callable[[], Fitted]) -> Fitted:
        """Return fitted models: from the store, or where that cannot hold them, fitted again."""
        outcome = self.store.read(cell)
        if outcome is None:
            raise RuntimeError(f"the models of {cell.label!r} have gone from the store; run again")
        stored = outcome.arrays.items()
        state = {name.removeprefix(STATE): a for name, a in stored if name.startswith(STATE)}
        restored = learner.from_arrays(state)
        if restored is not None:
            return restored
        with self._lock:
            if cell.key not in self._kept:
                self._kept[cell.key] = fit()
            return self._kept[cell.key]

    def _base(self, base: int) -> Fitted:
        if self.given is not None:
            return self.given
        cell = self.plan.base_jobs[base].cell
        return self._fitted(cell, self.learner, lambda: self._fit_base(cell))

    def _fit_base(self, cell: Cell) -> Fitted:
        experiment, ranking = self.experiment(""), self.ranking(ALL)
        return experiment.fit(arms(experiment.train, ranking.train, [0.0]), [cell.fields["seed"]])

    def _data(self, job: Job) -> Outcome:  # noqa: ARG002 - there is one data set
        shown = gallery_examples(self.data, self.plan.spec.gallery_examples)
        arrays: dict[str, NDArray[Any]] = {
            "inputs": self.data.test.inputs[shown],
            "majority": self.data.majority_scores,
        }
        present = self.data.present(self.data.test)
        if present is not None:
            arrays["present"] = present[shown]
            arrays["lengths"] = present.reshape(len(present), -1).sum(1)
        return Outcome(facts_of(self.data, shown), arrays)

    def _base_model(self, job: Job) -> Outcome:
        fitted = self._fit_base(job.cell) if self.given is None else self.given
        predictor = self.learner.predictor(fitted)
        found: dict[str, Predictions] = {
            part: predictions_of(predictor, getattr(self.data, part), self.device) for part in PARTS
        }
        values: dict[str, Any] = {part: found[part].summary() for part in PARTS}
        values["luck"] = chance_p_value(self.data, found["validation"].scores)
        arrays: dict[str, NDArray[Any]] = {
            f"targets/{part}": found[part].targets for part in ("train", "test")
        }
        arrays |= {"predicted/test": found["test"].predicted, "scores/test": found["test"].scores}
        state = self.learner.to_arrays(fitted) if self.given is None else {}
        with self._lock:
            if not state and self.given is None:
                self._kept[job.cell.key] = fitted
        values["parameters"] = sum(value[0].size for value in state.values()) or None
        return Outcome(values, arrays | {f"{STATE}{name}": array for name, array in state.items()})

    def _explain(self, job: Job) -> Outcome:
        base = self.store.read(self.plan.base_jobs[job.base].cell)
        assert base is not None, "base models are finished before anything is explained"
        spec = self.plan.spec
        kept = kept_examples(self.data, spec.kept_examples, gallery=spec.gallery_examples)
        members = [name for name in self.plan.names if name.name in job.members]
        found = explain(
            self._seen(job, untrained=members[0].untrained),
            self.data,
            members,
            targets={part: base.arrays[f"targets/{part}"] for part in ("train", "test")},
            explainers=self.explainers,
            seed=job.cell.fields["seed"],
            lots=job.cell.fields["lots"],
            kept=kept,
        )
        digests = {}
        for name, rankings in found.items():
            digests[name] = rankings.digest()
            cell = ranking_cell(digests[name])
            if not self.store.has(cell):
                ranks = {"train": rankings.train, "test": rankings.test}
                self.store.write(cell, Outcome({}, ranks))
        arrays: dict[str, NDArray[Any]] = {}
        for name, rankings in found.items():
            arrays[f"{KEPT}{name}"] = rankings.kept
            arrays[f"{TIES}{name}"] = np.packbits(rankings.ties, axis=1)
        for name, rankings in found.items():
            if rankings.function is not None:
                arrays |= {f"{FUNCTION}{name}": np.stack(astuple(rankings.function))}
        seconds = {name: rankings.seconds for name, rankings in found.items()}
        passes = {name: rankings.passes for name, rankings in found.items()}
        return Outcome({"digests": digests, "kept": kept, "passes": passes}, arrays, seconds)

    def _seen(self, job: Job, *, untrained: bool) -> TrainedModel:
        """Return a base model as explainers see it, or one of its kind that has learned nothing."""
        experiment, ranking = self.experiment(""), self.ranking(ALL)
        if untrained:
            predictor = self.learner.untrained(
                arms(experiment.train, ranking.train, [0.0]),
                experiment.train_labels,
                seed=seed_of("untrained", job.cell.fields["seed"]),
                recipe=experiment.recipe,
            )
        else:
            predictor = self.learner.predictor(self._base(job.base))
        refits = None if untrained else self._refits
        return view_of(self.data, predictor, self.device, refits)

    def _refits(self, seed: int) -> torch.Tensor:
        """Train with all features and without each, and answer to the held-out examples."""
        held_out = torch.from_numpy(self.data.validation.inputs[:HELD_OUT])
        return without_each(self.experiment(""), held_out, seed=seed)

    def _once_experiment(self, removal: str) -> Experiment:
        return replace(self.experiment(removal), learner=self.once)

    def _fit_once(self, job: Job) -> Fitted:
        fields = job.cell.fields
        return train_once(
            self._once_experiment(job.removal), seeds=fields["seeds"], epochs=fields["epochs"]
        )

    def _once_model(self, job: Job) -> Outcome:
        fitted = self._fit_once(job)
        state = self.once.to_arrays(fitted)
        if not state:
            with self._lock:
                self._kept[job.cell.key] = fitted
        return Outcome({}, {f"{STATE}{name}": array for name, array in state.items()})

    def _measure(self, job: Job) -> Outcome:
        """Return the scores of a protocol, by the names of its curves."""
        protocol = find_protocol(job.protocol)
        measure, ranking = protocol.load(), self.ranking(job.ranking)
        if protocol.asks == "retraining":
            seeds = job.cell.fields["seeds"]
            experiment = self.experiment(job.removal)
            found = measure(experiment, ranking, fractions=job.fractions, seeds=seeds)
        else:
            found = measure(*self._asked(job), ranking, fractions=job.fractions)
        return Outcome({}, protocol.by_curve(found))

    def _asked(self, job: Job) -> tuple[Experiment, Fitted]:
        """Return the models that a protocol asks, and the experiment that they are asked in."""
        if not job.asked:
            return self.experiment(job.removal), self._base(job.base)
        (trained,) = (once for once in self.plan.once_jobs() if once.cell.key == job.asked)
        fitted = self._fitted(trained.cell, self.once, lambda: self._fit_once(trained))
        return self._once_experiment(job.removal), fitted
