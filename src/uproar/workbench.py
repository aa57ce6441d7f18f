"""Does the work of every kind of cell: here the science meets data, device and stored outcomes."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uproar.explanations import RANKS, as_trained, explain, gallery_examples
from uproar.job import ALL, Job
from uproar.models.training import Factory
from uproar.plan import Plan
from uproar.protocols.leakage import mask_only
from uproar.protocols.perturb import no_retrain
from uproar.protocols.retrain_once import retrain_once, train_once
from uproar.protocols.roar import kar, roar
from uproar.protocols.setting import Ranking, Setting, arms, prepare
from uproar.remove import REMOVALS
from uproar.run.cell import Cell, Outcome
from uproar.run.store import Store
from uproar.seeding import generator_of
from uproar.types import Data, find

PLAIN = "zero"  # the removal where nothing is ever removed
STATE = "state/"

Retrained = Callable[..., NDArray[np.bool_]]


@dataclass(frozen=True)
class Workbench:
    """Computes the outcomes of jobs.

    ``explainers`` are callables that were handed over in Python, by name. ``sources`` says which
    outcome holds the ranking of a digest; it fills up as explanations are finished.
    """

    plan: Plan
    data: Data
    factory: Factory
    store: Store
    device: torch.device
    explainers: Mapping[str, Any] = field(default_factory=dict)
    sources: dict[str, tuple[Cell, str]] = field(default_factory=dict)

    def __call__(self, job: Job) -> Outcome:
        """Return the outcome of one job, with the seconds that it took."""
        if self.device.type == "cpu":
            # Cells run side by side, one thread each: faster than sharing every small operation
            # among all cores, and the same numbers whatever the number of cores.
            torch.set_num_threads(1)
        begun = time.perf_counter()
        outcome = self._kinds[job.kind](job)
        seconds = {**outcome.seconds, "all": time.perf_counter() - begun}
        return replace(outcome, seconds=seconds, provenance=self.provenance)

    @cached_property
    def _kinds(self) -> dict[str, Callable[[Job], Outcome]]:
        return {
            "data": self._data,
            "base-model": self._base_model,
            "explain": self._explain,
            "retrain-once-model": self._retrain_once_model,
            "roar": lambda job: self._retrained(job, roar),
            "kar": lambda job: self._retrained(job, kar),
            "mask-only": lambda job: self._retrained(job, mask_only),
            "retrain-once": self._retrain_once,
            "no-retrain": self._no_retrain,
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
    def _settings(self) -> dict[str, Setting]:
        """The setting of every removal, prepared before any thread asks for one."""
        spec, way = self.plan.spec, self.plan.spec.training
        assert way != "auto", "the benchmark chooses before it builds a workbench"
        return {
            name: prepare(
                self.data,
                find(name, REMOVALS, "removal").load()(
                    self.data.train.inputs, feature_axes=len(self.data.feature_shape)
                ),
                factory=self.factory,
                recipe=spec.recipe,
                way=way,
                device=self.device,
                generator=generator_of("removal", name, self.data.name, spec.seed),
            )
            for name in {PLAIN, *spec.removals}
        }

    def setting(self, removal: str) -> Setting:
        """Return the setting of a removal; without one, a setting for whole inputs."""
        return self._settings[removal or PLAIN]

    def ranking(self, digest: str) -> Ranking:
        """Return the ranking of a digest; for :data:`ALL`, where no rank matters, feature order."""
        if digest == ALL:
            return Ranking(
                *(self._feature_order(len(part)) for part in (self.data.train, self.data.test))
            )
        cell, member = self.sources[digest]
        outcome = self.store.read(cell)
        if outcome is None:
            raise RuntimeError(
                f"the explanations of {member!r} have gone from the store since they were made; "
                "run the same command again to recompute them"
            )
        return Ranking(*(outcome.arrays[f"{RANKS}{part}/{member}"] for part in ("train", "test")))

    def _feature_order(self, examples: int) -> NDArray[np.unsignedinteger]:
        smallest = np.min_scalar_type(self.data.features - 1)
        order = np.arange(self.data.features, dtype=smallest).reshape(self.data.feature_shape)
        return np.broadcast_to(order, (examples, *self.data.feature_shape))

    def _state(self, cell: Cell) -> dict[str, Tensor]:
        outcome = self.store.read(cell)
        if outcome is None:
            raise RuntimeError(f"the models of {cell.label!r} have gone from the store; run again")
        return {
            name.removeprefix(STATE): torch.from_numpy(array.copy()).to(self.device)
            for name, array in outcome.arrays.items()
            if name.startswith(STATE)
        }

    def _data(self, job: Job) -> Outcome:  # noqa: ARG002 - there is one data set
        data, shown = self.data, gallery_examples(self.data, self.plan.spec.gallery_examples)
        values = {
            "kind": data.kind,
            "features": data.features,
            "feature_shape": data.feature_shape,
            "class_names": data.class_names,
            "feature_names": data.feature_names,
            "value_range": data.value_range,
            "majority_rate": data.majority_rate,
            "labels": [data.class_names[data.test.labels[example]] for example in shown],
            **{part: len(getattr(data, part)) for part in ("train", "validation", "test")},
        }
        return Outcome(values, {"inputs": data.test.inputs[shown]})

    def _base_model(self, job: Job) -> Outcome:
        setting = self.setting("")
        ranks = self._feature_order(len(self.data.train))
        state = setting.fit(arms(setting.train, ranks, [0]), [job.cell.fields["seed"]])
        model = as_trained(self.data, self.factory, state, self.device)
        predicted: dict[str, Tensor] = {}
        values: dict[str, Any] = {}
        for part in ("train", "validation", "test"):
            split = getattr(self.data, part)
            predicted[part] = model(torch.from_numpy(split.inputs).to(self.device)).argmax(1)
            right = predicted[part].cpu().numpy() == split.labels
            values[part] = {"correct": int(right.sum()), "examples": len(split)}
        arrays = {f"predicted/{part}": classes.cpu().numpy() for part, classes in predicted.items()}
        arrays["correct/test"] = arrays["predicted/test"] == self.data.test.labels
        values["parameters"] = sum(value[0].numel() for value in state.values())
        return Outcome(values, arrays | _numpy(state))

    def _explain(self, job: Job) -> Outcome:
        assert job.base is not None
        base = self.store.read(self.plan.base_jobs[job.base].cell)
        assert base is not None, "base models are finished before anything is explained"
        state = self._state(self.plan.base_jobs[job.base].cell)
        return explain(
            as_trained(self.data, self.factory, state, self.device),
            self.data,
            [name for name in self.plan.names if name.name in job.members],
            targets={part: base.arrays[f"predicted/{part}"] for part in ("train", "test")},
            explainers=self.explainers,
            seed=job.cell.fields["seed"],
            gallery=self.plan.spec.gallery_examples,
        )

    def _retrained(self, job: Job, protocol: Retrained) -> Outcome:
        correct = protocol(
            self.setting(job.removal),
            self.ranking(job.ranking),
            fractions=job.fractions,
            seeds=job.cell.fields["seeds"],
        )
        return Outcome({}, {job.protocol: correct})

    def _retrain_once_model(self, job: Job) -> Outcome:
        fields = job.cell.fields
        state = train_once(
            self.setting(job.removal), seeds=fields["seeds"], epochs=fields["epochs"]
        )
        return Outcome({}, _numpy(state))

    def _retrain_once(self, job: Job) -> Outcome:
        (trained,) = (once for once in self.plan.once_jobs() if once.removal == job.removal)
        removed, kept = retrain_once(
            self.setting(job.removal),
            self._state(trained.cell),
            self.ranking(job.ranking),
            fractions=job.fractions,
        )
        return Outcome({}, {"retrain-once-removed": removed, "retrain-once-kept": kept})

    def _no_retrain(self, job: Job) -> Outcome:
        assert job.base is not None
        correct = no_retrain(
            self.setting(job.removal),
            self._state(self.plan.base_jobs[job.base].cell),
            self.ranking(job.ranking),
            fractions=job.fractions,
        )
        return Outcome({}, {job.protocol: correct})


def _numpy(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {f"{STATE}{name}": value.cpu().numpy() for name, value in state.items()}
