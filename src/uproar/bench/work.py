"""What computes the jobs of a run, as a value that can be sent to other processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from uproar.bench.checks import check_removals
from uproar.bench.device import device_of
from uproar.data import DATA
from uproar.dataset import Data
from uproar.models import MODELS, PRETRAINED
from uproar.plan.effort import Sizes
from uproar.plan.job import Job
from uproar.plan.plan import Plan
from uproar.plan.spec import Spec
from uproar.registry import is_registered
from uproar.run.cell import Outcome
from uproar.run.progress import loading
from uproar.run.store import Store
from uproar.types import UproarError

if TYPE_CHECKING:
    from uproar.bench.worker import Worker

# Of a process: who opens work waits for who is opening some, and the last that arrived stays open.
_LOCK = RLock()
_ARRIVED: dict[str, Work] = {}


@dataclass(frozen=True, eq=False)
class Objects:
    """What users hand over in Python, in the place of names: they travel as they are."""

    data: tuple[Data, ...] = ()  # one for each fold, or one
    model: Any = None
    explainers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Work:
    """Computes jobs of a run, in whatever process it is called: a spec, a folder, and objects.

    It pickles in a few kilobytes beside the objects. Data, learner, store and what is fitted are
    made in each process that calls it, once, however many copies arrive there; they belong to the
    :class:`~uproar.bench.worker.Worker` that it is then opened into. A process keeps open what
    arrived last.

    :param spec: what is measured; files that it names are looked for where the work is opened.
    :param out: folder of the run, with the store, which all processes have to see.
    :param origin: what copies of the same work have in common.

    >>> import pickle, tempfile
    >>> spec = Spec.from_mapping({"data": "hooker-toy", "explainers": "random,grad"}).checked()
    >>> with tempfile.TemporaryDirectory() as out:
    ...     work = Work(spec, Path(out)).settled()
    ...     sent = pickle.dumps(work)
    ...     there = pickle.loads(sent)  # as in another process
    ...     outcome = there(work.opened().plan.data_jobs[0])
    >>> len(sent) < 10_000, there.spec == work.spec, outcome.values["features"]
    (True, True, 16)
    """

    spec: Spec
    out: Path
    objects: Objects = field(default_factory=Objects)
    origin: str = field(default_factory=lambda: secrets.token_hex(8))
    _open: dict[int, Worker] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # A model factory of the user may change the working folder in the middle of a run.
        object.__setattr__(self, "out", self.out.absolute())

    def __call__(self, job: Job) -> Outcome:
        """Return the outcome of one job."""
        return self.opened(job.base if self.spec.source.folds > 1 else 0)(job)

    def opened(self, fold: int = 0, *, quiet: bool = True) -> Worker:
        """Return what does the work in this process, the same whenever it is asked for.

        :param fold: on which fold of the data; the first stands for all.
        :param quiet: show no bar while data are read.
        :raises UproarError: when the data or the model do not fit, or are not those of the spec.
        """
        if fold not in self._open:
            with _LOCK:
                if fold not in self._open:  # while this thread waited, another may have opened it
                    # The digest is that of the first fold: only there it is seen if data changed.
                    spec = self.opened(quiet=quiet).plan.spec if fold else self.spec
                    self._open[fold] = _worker(spec, self.out, self.objects, fold, quiet=quiet)
        return self._open[fold]

    def settled(self) -> Work:
        """Return the work with all that opening it has found out of data and model.

        Wherever it is opened again, they have to be the same.
        """
        return replace(self, spec=self.opened().plan.spec)

    def __reduce__(self) -> tuple[Callable[..., Work], tuple[Any, ...]]:
        return _arrived, (self.spec, self.out, self.objects, self.origin)


def _arrived(spec: Spec, out: Path, objects: Objects, origin: str) -> Work:
    """Return work that was sent here: the copy that is open already, if there is one."""
    with _LOCK:
        known = _ARRIVED.get(origin)
        if known is None or known.spec != spec:
            known = Work(spec, out, objects, origin)
            _ARRIVED.clear()
            _ARRIVED[origin] = known
        return known


def _worker(spec: Spec, out: Path, objects: Objects, fold: int, *, quiet: bool) -> Worker:
    """Load the data, choose the learner, and make the store."""
    from uproar.bench.worker import Worker
    from uproar.data.checks import check
    from uproar.models.choice import choose

    data = check(objects.data[fold] if objects.data else _load(spec, fold, quiet=quiet))
    check_removals(spec, data.kind)
    device = device_of(spec.device)
    chosen = choose(
        spec.model,
        data,
        given=objects.model,
        parameters=spec.model_parameters,
        training=spec.training,
        recipe=spec.recipe,
        device=device,
    )
    if chosen.given is not None and spec.source.folds > 1:
        raise UproarError(
            f"folds={spec.source.folds}: each fold is tested by a model that was trained without "
            "it, but this model is trained already; give what makes an untrained one, or no folds"
        )
    found: dict[str, Any] = {"training": chosen.learner.training}
    if chosen.given is not None:
        found["base_models"] = 1  # the model that is there
    if not is_registered(spec.data, DATA) and not fold:
        found["data_digest"] = _same(spec.data_digest, data.digest(), f"data {spec.data!r}")
    if not is_registered(spec.model, MODELS):
        found["model_digest"] = _same(spec.model_digest, chosen.digest, f"model {spec.model!r}")
    return Worker(
        *(Plan(spec.model_copy(update=found), _sizes(data)), data, chosen.learner, chosen.once),
        *(Store(out / "store"), device, chosen.given),
        explainers=objects.explainers,
        notes=(*data.notes, *chosen.notes),
    )


def _load(spec: Spec, fold: int, *, quiet: bool) -> Data:
    """Read the data, with a bar where that takes long."""
    from uproar.data import load

    tokenizer, (place, _, name) = None, spec.model.partition(":")
    if place == PRETRAINED:  # such a model has a tokenizer of its own
        from uproar.data.text.hugging_face import tokenizer_of

        tokenizer = tokenizer_of(name)
    with loading(f"reading {spec.data}", quiet=quiet) as progress:
        return load(
            spec.data,
            seed=spec.seed,
            source=replace(spec.source, fold=fold),
            progress=progress,
            tokenizer=tokenizer,
        )


def _same(expected: str, found: str, what: str) -> str:
    """Return a digest, unless another one is expected: the keys of all cells rest on it."""
    if expected not in {"", found}:
        raise UproarError(
            f"{what} is not what the run was planned with: expected the digest {expected}, got "
            f"{found}; run again where it was changed, or make it the same on all machines"
        )
    return found


def _sizes(data: Data) -> Sizes:
    explained = len(data.train) + len(data.test)
    return Sizes(data.features, data.outputs, explained, len(data.validation), data.kind == "table")
