"""A result as the page wants it: everything that it shows, as tables, arrays and texts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from uproar.dataset import label_text
from uproar.explain import EXPLAINERS
from uproar.explain.parameters import text_of
from uproar.plan.effort import Sizes
from uproar.plan.job import KEPT, Job
from uproar.protocols import best_first, known
from uproar.protocols.protocol import Protocol
from uproar.report.content import Gallery, ReportContent
from uproar.results.function import rank_agreement
from uproar.run.cell import Outcome

if TYPE_CHECKING:
    from uproar.results.result import Result


def content_of(result: Result) -> ReportContent:
    """Return everything that the report shows."""
    spec, found, data = result.spec, result.conclusions, result.data_facts
    return ReportContent(
        spec_toml=spec.to_toml(),
        command=command_of(result),
        data={
            "name": spec.data_name,
            "kind": data.values["kind"],
            "seed": spec.seed,
            "features": data.values["features"],
            "classes": data.values["class_names"],
            "patch": spec.source.patch,
            "folds": spec.source.folds,
            **{key: data.values[key] for key in _FACTS},
            **{part: data.values[part] for part in ("train", "validation", "test")},
        },
        model=_model(result),
        protocols=protocol_table(known()),
        leaderboard=result.leaderboard(),
        gains=found.gains,
        curves=found.curves,
        # The shape of a mask is the same whatever replaces what it removes.
        leaks=pd.concat([found.leaks.assign(removal=name) for name in spec.removals]),
        pairs=found.pairs,
        agreement=found.agreement,
        error=found.error,
        detectable=found.detectable,
        explainers=_explainers(result),
        gallery=_gallery(result, data),
        skipped=result.skipped,
        failed=result.failed,
        notes=(*result.store.damaged, *result.notes),
        provenance=_provenance(result),
        timings=result.timings,
        function=result.function(),
        function_agreement=rank_agreement(result.measured),
    )


_FACTS = ("task", "score", "majority_rate", "input_shape", "feature_shape", "vocabulary")


def command_of(result: Result) -> str:
    """Return the command line that repeats the run, or the Python call where a line cannot."""
    spec = result.spec
    if spec.callables or any(name.startswith("python:") for name in (spec.data, spec.model)):
        return "uproar.evaluate(…)  # with the same objects, and the values of the spec below"
    return f"uproar run --config spec.toml --out {shlex.quote(result.out.name)}"


def _model(result: Result) -> dict[str, object]:
    accuracy, low, high = result.base_accuracy
    variance = result.data_facts.values["label_variance"]
    error = {} if variance is None else {"mse": (1 - accuracy) * variance}
    return {
        **error,
        "name": result.spec.model,
        "parameters": result.bases[0].values["parameters"],
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "base_models": result.spec.base_models,
        "training": result.spec.training,
    }


def protocol_table(protocols: Sequence[Protocol]) -> pd.DataFrame:
    """Return what the page has to know of protocols, one row per curve."""
    order = [protocol.name for protocol in best_first()]
    rows = [
        {
            "protocol": protocol.name,
            "short": protocol.short,
            "meaning": protocol.meaning,
            "gain": protocol.gain,
            "question": protocol.question,
            "compared": protocol.compared,
            "reads_own_masks": protocol.reads_own_masks,
            "ordering": order.index(protocol.name) if protocol.compared else len(order),
            "curve": curve.name,
            "direction": curve.direction,
            "keeps": curve.keeps,
            "title": curve.title,
            "reading": curve.reading,
        }
        for protocol in protocols
        for curve in protocol.curves
    ]
    return pd.DataFrame(rows)


def _explainers(result: Result) -> pd.DataFrame:
    """Return what each explainer is, and what it costs by prediction."""
    facts = result.data_facts.values
    sizes = Sizes(
        facts["features"],
        len(facts["class_names"]) or 1,
        explained=facts["train"] + facts["test"],
        table=facts["kind"] == "table",
    )
    plan, registry = result.plan, {entry.name for entry in EXPLAINERS}
    columns = ("name", "kind", "signed", "summary", "paper", "needs", "estimand", "extra")
    rows = []
    for name in plan.names:
        entry, registered = plan.entries[name.name], name.base in registry
        rows.append(
            {column: getattr(entry, column) for column in columns}
            | {
                "scope": result.scopes.get(name.name, entry.scope),
                "parameters": ", ".join(f"{k}={text_of(v)}" for k, v in name.parameters),
                "data_kinds": ", ".join(entry.data_kinds),
                "promises": ", ".join(entry.promises),
                "formula": entry.passes if registered else "",
                "predicted": sizes.passes(name) if registered else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _gallery(result: Result, data: Outcome) -> Gallery | None:
    """Return the examples with the importance that the first base model's explainers gave."""
    first: dict[Job, Outcome] = {j: o for j, o in result.explained.items() if j.base == 0}
    if not first:
        return None
    maps = {member: o.arrays[f"{KEPT}{member}"] for j, o in first.items() for member in j.members}
    shown = next(iter(first.values())).values["kept"][: len(data.arrays["inputs"])]
    predicted = result.bases[0].arrays["predicted/test"][shown]
    facts = data.values
    value_range = facts["value_range"]
    return Gallery(
        inputs=data.arrays["inputs"],
        labels=tuple(facts["labels"]),
        targets=tuple(
            label_text(answer, facts["class_names"], facts["label_centre"], facts["label_scale"])
            for answer in predicted
        ),
        importance={name: maps[name] for name in result.spec.explainers if name in maps},
        feature_names=tuple(facts["feature_names"]),
        value_range=None if value_range is None else (value_range[0], value_range[1]),
        kind=facts["kind"],
        texts=tuple(map(tuple, facts["texts"])) if any(facts["texts"]) else (),
        patch=result.spec.source.patch,
        present=data.arrays.get("present"),
    )


def _provenance(result: Result) -> dict[str, str]:
    recorded = result.bases[0].provenance
    return {"uproar": version("uproar"), **recorded, "seed": str(result.spec.seed)}
