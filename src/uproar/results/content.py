"""A result as people want it: the content of the page, a figure for a paper, a LaTeX table."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from uproar.dataset import label_text
from uproar.explain import EXPLAINERS
from uproar.explain.parameters import text_of
from uproar.plan.effort import Sizes
from uproar.plan.job import Job
from uproar.report.content import Gallery, ReportContent
from uproar.results.function import rank_agreement
from uproar.run.cell import Outcome
from uproar.types import UproarError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from uproar.results.result import Result

TITLES = {
    "roar": "ROAR: most important removed, retrained",
    "kar": "KAR: only most important kept, retrained",
    "retrain-once-removed": "retrain-once: most important removed",
    "retrain-once-kept": "retrain-once: only most important kept",
    "no-retrain": "without retraining",
}


def content_of(result: Result) -> ReportContent:
    """Return everything that the report shows."""
    spec, found, data = result.spec, result.conclusions, result.data_facts
    return ReportContent(
        spec_toml=spec.to_toml(),
        command=command_of(result),
        data={
            "name": spec.data_name,
            "kind": data.values["kind"],
            "features": data.values["features"],
            "classes": data.values["class_names"],
            "patch": spec.source.patch,
            **{key: data.values[key] for key in _FACTS},
            **{part: data.values[part] for part in ("train", "validation", "test")},
        },
        model=_model(result),
        leaderboard=result.leaderboard(),
        gains=found.gains,
        curves=found.curves,
        # The shape of a mask is the same whatever replaces what it removes.
        leaks=pd.concat([found.leaks.assign(removal=name) for name in spec.removals]),
        pairs=found.pairs,
        agreement=found.agreement,
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


def _explainers(result: Result) -> pd.DataFrame:
    """Return what each explainer is, and what it costs by prediction."""
    facts = result.data_facts.values
    sizes = Sizes(
        facts["features"],
        len(facts["class_names"]) or 1,
        explained=facts["train"] + facts["test"],
        table=facts["kind"] == "table",
    )
    plan, known = result.plan, {entry.name for entry in EXPLAINERS}
    columns = ("name", "kind", "signed", "summary", "paper", "needs", "estimand", "extra")
    rows = []
    for name in plan.names:
        entry, registered = plan.entries[name.name], name.base in known
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
    maps = {member: o.arrays[f"gallery/{member}"] for j, o in first.items() for member in j.members}
    shown = next(iter(first.values())).values["gallery"]
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


def latex(result: Result, removal: str | None = None) -> str:
    """Return the leaderboard as a LaTeX table (booktabs): gains with intervals, and verdicts."""
    board = result.leaderboard(removal)
    table = pd.DataFrame({"explainer": board["explainer"].map(_tex)})
    for score, title in (("roar", "ROAR"), ("kar", "KAR"), ("retrain_once", "retrain-once")):
        if board[f"{score}_gain"].notna().any():
            table[title] = [
                _interval(*row)
                for row in zip(
                    *(board[f"{score}_{c}"] for c in ("gain", "low", "high")), strict=True
                )
            ]
    if board["mask_only_accuracy"].notna().any():
        table["mask only"] = board["mask_only_accuracy"].map("{:.3f}".format)
    table["verdict"] = board["verdict"].map(_tex)
    spec = result.spec
    caption = (
        f"Gains over a random ranking ({_tex(result.score)} $\\times$ fraction) on "
        f"{_tex(spec.data_name)}, model {_tex(spec.model)}, "
        f"removal {_tex(removal or spec.removals[0])}, {spec.repeats} repeats, "
        f"{spec.base_models} base model{'s' if spec.base_models > 1 else ''}; paired bootstrap "
        "95\\,\\% intervals, verdicts after Holm's correction."
    )
    lines = [" & ".join(row) + r" \\" for row in table.itertuples(index=False, name=None)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (table.shape[1] - 2)}l}}",
            r"\toprule",
            " & ".join(table.columns) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _interval(gain: float, low: float, high: float) -> str:
    return "--" if np.isnan(gain) else f"${gain:+.3f}$ [${low:+.3f}$, ${high:+.3f}$]"


def _tex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
        "²": r"$^2$", "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    }  # fmt: skip
    return "".join(special.get(character, character) for character in text)


def figure(result: Result, removal: str | None = None) -> Figure:
    """Return a matplotlib figure: one panel per protocol, a band per explainer, random in grey.

    :raises UproarError: when the run has no curves of that removal.
    """
    from matplotlib.figure import Figure

    removal = result.spec.removals[0] if removal is None else removal
    curves = result.conclusions.curves
    curves = curves[curves["removal"] == removal]
    names = [name for name in TITLES if name in set(curves["protocol"])]
    if not names:
        raise UproarError(f"there are no curves to plot for removal {removal!r}")
    drawn = Figure(figsize=(4.2 * len(names), 4.4), layout="constrained")
    panels = drawn.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        _panel(panel, curves[curves["protocol"] == name], result.leaderboard(removal)["explainer"])
        panel.set(title=TITLES[name], xlabel="fraction of features", xlim=(0, 1))
        panel.title.set_fontsize("medium")
    panels[0].set_ylabel(f"test {result.score}")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside right upper", fontsize="small", frameon=False)
    return drawn


def _panel(panel: Axes, curves: pd.DataFrame, order: pd.Series) -> None:
    dashes = ("-", "--", "-.", ":")
    for position, explainer in enumerate(name for name in order if name != "random"):
        rows = curves[curves["explainer"] == explainer]
        colour, dash = f"C{position % 10}", dashes[position // 10 % len(dashes)]
        panel.plot(
            rows["fraction"], rows["value"], dash, color=colour, label=explainer, linewidth=1.2
        )
        panel.fill_between(
            rows["fraction"], rows["low"], rows["high"], color=colour, alpha=0.12, lw=0
        )
    random = curves[curves["explainer"] == "random"]
    panel.plot(random["fraction"], random["value"], "k--", label="random", linewidth=1.6)
    panel.fill_between(
        random["fraction"], random["low"], random["high"], color="0.6", alpha=0.4, lw=0
    )
