"""From a spec to the cells of a run; imports no torch, so that status and report start fast.

Cells of retraining are keyed by the ranking that they remove by, not by the explainer's name: two
explainers that rank alike (abs- and sq- on one channel) share their trainings, and a changed
explainer never meets results of its former self.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from uproar.data import DATA
from uproar.explain.explainer import Explainer
from uproar.explain.names import ExplainerName, parse
from uproar.models import MODELS
from uproar.plan.effort import Sizes
from uproar.plan.job import ALL, ENDS, Digests, Job, of_base
from uproar.plan.repeats import bases_of, numbers_of, repeats_of
from uproar.plan.spec import Spec
from uproar.protocols import compared, find_protocol, trained_once
from uproar.protocols.protocol import Protocol
from uproar.registry import Entry, find
from uproar.remove import REMOVALS
from uproar.run.cell import Cell
from uproar.seeding import seed_of


@dataclass(frozen=True)
class Plan:
    """All cells of one checked spec, in the stages in which they become ready.

    ``sizes`` are for estimates alone: no cell depends on them.
    """

    spec: Spec
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def inner(self) -> tuple[float, ...]:
        """Fractions that are measured for each explainer; 0 and 1 are shared by all."""
        return tuple(fraction for fraction in self.spec.fractions if fraction not in ENDS)

    @cached_property
    def names(self) -> list[ExplainerName]:
        """The parsed explainers, in the order of the spec."""
        bases = self.spec.extra_bases
        return [parse(name, extra_bases=bases) for name in self.spec.explainers]

    @cached_property
    def entries(self) -> dict[str, Explainer]:
        """What tables say of each explainer, in the order of the spec."""
        return {name.name: _entry(name, self.spec.known_answers) for name in self.names}

    @cached_property
    def families(self) -> dict[str, list[ExplainerName]]:
        """The explainers that share their passes, by what is common to their names."""
        families: dict[str, list[ExplainerName]] = {}
        for name in self.names:
            families.setdefault(name.family, []).append(name)
        return families

    @cached_property
    def protocols(self) -> list[Protocol]:
        """The protocols of the run, in the order of the spec."""
        return [find_protocol(name) for name in self.spec.protocols]

    @property
    def bases(self) -> range:
        """Numbers of the base models."""
        return range(self.spec.base_models)

    def seeds(self, base: int, repeats: int | None = None) -> tuple[int, ...]:
        """Return one seed for each repeat of a base model, shared by all that is measured of it.

        :param repeats: of all base models together; those of the spec if not given.
        """
        repeats = self.spec.repeats if repeats is None else repeats
        return tuple(
            seed_of("repeat", self._data, self._model, self.spec.seed, repeat)
            for repeat in numbers_of(self.spec, base, repeats)
        )

    @property
    def _data(self) -> str:
        return self.spec.data_digest or self.spec.data

    @property
    def _model(self) -> str:
        return self.spec.model_digest or self.spec.model

    @cached_property
    def _trained_on_all(self) -> dict[str, Any]:
        """Everything that every training depends on."""
        spec = self.spec
        data: dict[str, Any] = {"digest": spec.data_digest}
        if not spec.data_digest:
            version = find(spec.data, DATA, "data").version
            data = {"name": spec.data, "seed": spec.seed, "version": version}
        model: dict[str, Any] = {"digest": spec.model_digest}
        if not spec.model_digest:
            model = {"name": spec.model, "version": find(spec.model, MODELS, "model").version}
        return {"data": data, "model": model, "recipe": asdict(spec.recipe), "way": spec.training}

    def _trained_on(self, base: int) -> dict[str, Any]:
        """Return everything that every training for a base model depends on."""
        folds, shared = self.spec.source.folds, self._trained_on_all
        if folds == 1:
            return shared
        return {**shared, "data": {**shared["data"], "fold": base, "folds": folds}}

    @cached_property
    def data_jobs(self) -> tuple[Job, ...]:
        """What tables and the report have to know of the data; of each fold, where there are."""
        return tuple(map(self._data_job, self.bases if self.spec.source.folds > 1 else [0]))

    def _data_job(self, fold: int) -> Job:
        fields = {
            "data": self._trained_on(fold)["data"],
            "gallery": self.spec.gallery_examples,
            "version": 3,
        }
        label = f"data: {self.spec.data_name}" + (f", fold {fold}" if fold else "")
        return Job(Cell("data", fields, label), weight=0.2, base=fold)

    @cached_property
    def base_jobs(self) -> tuple[Job, ...]:
        """The trainings of the base models."""
        return tuple(
            Job(
                Cell(
                    "base-model",
                    {
                        **self._trained_on(base),
                        "seed": seed_of(
                            "base-model", self._data, self._model, self.spec.seed, base
                        ),
                        "version": 2,
                    },
                    f"base model {base}",
                ),
                weight=self.spec.recipe.epochs,
                trainings=1,
                base=base,
            )
            for base in self.bases
        )

    def explain_jobs(self) -> list[Job]:
        """Return one job per base model and family of explainers."""
        return [
            self._explain_job(base, family, members)
            for family, members in self.families.items()
            for base in self.base_jobs
        ]

    def _explain_job(self, base: Job, family: str, members: Sequence[ExplainerName]) -> Job:
        assert base.base is not None
        versions = {member.name: self.entries[member.name].version for member in members}
        fields = {
            "base": base.cell.key,
            "family": family,
            "members": versions,
            "seed": seed_of("explain", base.cell.key, family, base.base),
            "gallery": self.spec.gallery_examples,  # which are the first that are kept
            "kept": self.spec.kept_examples,
            "lots": seed_of("lots", self._data, self.spec.seed),
            "version": 5,
        }
        return Job(
            Cell("explain", fields, f"explain: {of_base(family, base.base)}"),
            weight=0.2 + self._epochs(members),
            base=base.base,
            family=family,
            base_explainer=members[0].base,
            members=tuple(versions),
        )

    def _epochs(self, members: Sequence[ExplainerName]) -> float:
        """Return how long a family takes; a pass of all examples about the time of an epoch."""
        epochs = self.sizes.trainings(members) * self.spec.recipe.epochs
        return epochs + self.sizes.all_passes(members) / max(self.sizes.explained, 1)

    def once_jobs(self) -> list[Job]:
        """Return the trainings of the explanation-agnostic models, by removal and base model."""
        if not any(protocol.asks == "once" for protocol in self.protocols):
            return []
        return [self._once_job(base, name) for name in self.spec.removals for base in self.bases]

    def _once_job(self, base: int, removal: str) -> Job:
        protocol = trained_once()
        fields = {
            **self._trained_on(base),
            "removal": self._removal(removal),
            "seeds": self.seeds(base),
            "epochs": self.spec.retrain_once_epochs,
            "version": protocol.version,
        }
        label = f"{of_base(f'{protocol.name}: train', base)} ({removal})"
        return Job(
            Cell(protocol.models, fields, label),
            weight=len(fields["seeds"]) * self.spec.retrain_once_epochs,
            trainings=len(fields["seeds"]),
            base=base,
            removal=removal,
        )

    def end_jobs(self) -> list[Job]:
        """Return what all explainers share: everything kept (t = 0), everything removed (t = 1)."""
        serving = {protocol.ends or protocol.name for protocol in self.protocols}
        return [
            self._curve_job(protocol, ALL, base, removal, ALL, ENDS)
            for removal in self.spec.removals
            for protocol in compared()
            if protocol.name in serving
            for base in self.bases
        ]

    def curve_jobs(self, digests: Digests) -> Iterator[Job]:
        """Yield the curves of every explainer whose ranking is known, protocol by protocol."""
        for protocol in self.protocols:
            for removal in self._removals_of(protocol):
                for (base, explainer), digest in digests.items():
                    if base in bases_of(self.spec, protocol):
                        yield self._curve_job(
                            protocol, explainer, base, removal, digest, self.inner
                        )

    def prospective_jobs(self) -> list[Job]:
        """Return all jobs, as if no two explainers ranked alike: for estimates and displays."""
        unknown = {
            (base, name): f"{base} {name}" for base in self.bases for name in self.spec.explainers
        }
        first = [*self.data_jobs, *self.base_jobs, *self.explain_jobs()]
        return [*first, *self.once_jobs(), *self.end_jobs(), *self.curve_jobs(unknown)]

    def _removals_of(self, protocol: Protocol) -> Sequence[str]:
        """Return the removals that a protocol depends on; the shape of the mask on none of them."""
        return self.spec.removals if protocol.removals == "each" else ("",)

    def _curve_job(
        self,
        protocol: Protocol,
        explainer: str,
        base: int,
        removal: str,
        ranking: str,
        fractions: tuple[float, ...],
    ) -> Job:
        fields = self._asked_of(protocol, base, removal)
        seeds = fields.get("seeds", ())
        fields |= {"ranking": ranking, "fractions": fractions, "version": protocol.version}
        trainings = len(seeds) * len(fractions)
        label = f"{protocol.name}: {of_base(explainer, base)}"
        label += f" ({removal})" if removal else ""
        return Job(
            Cell(protocol.name, fields, label),
            weight=trainings * self.spec.recipe.epochs or 0.2,
            trainings=trainings,
            base=base,
            explainer=explainer,
            removal=removal,
            protocol=protocol.name,
            ranking=ranking,
            fractions=fractions,
            asked=fields["model"] if protocol.asks == "once" else "",
        )

    def _asked_of(self, protocol: Protocol, base: int, removal: str) -> dict[str, Any]:
        """Return what the answers of a protocol depend on, whatever the ranking."""
        if protocol.asks == "once":
            return {"model": self._once_job(base, removal).cell.key}
        under = {"removal": self._removal(removal)} if removal else {}
        if protocol.asks == "base model":
            return {"base": self.base_jobs[base].cell.key, **under}
        seeds = self.seeds(base, repeats_of(self.spec, protocol))
        return {**self._trained_on(base), "seeds": seeds, **under}

    def _removal(self, name: str) -> dict[str, Any]:
        return {"name": name, "version": find(name, REMOVALS, "removal").version}

    def versions(self, explainer: str, protocol: str, removal: str) -> str:
        """Return the versions of what was measured with, for the table of results."""
        parts: list[Entry] = [find_protocol(protocol)]
        if removal:
            parts.append(find(removal, REMOVALS, "removal"))
        if explainer != ALL:
            parts.append(self.entries[explainer])
        return " ".join(f"{part.name}={part.version}" for part in parts)


def _entry(name: ExplainerName, known: Sequence[str]) -> Explainer:
    """Return the entry of an explainer; a known answer of the data does not look at the model."""
    entry = name.entry()
    if name.base not in known:
        return entry
    summary = f"known answer of the data: {name.base.replace('-', ' ')}"
    return replace(entry, kind="control", scope="global", signed=False, summary=summary)
