"""A result as papers want it: a LaTeX table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from uproar.protocols import compared, known
from uproar.report.verdicts import verdict_called
from uproar.report.wording import trained
from uproar.types import UproarError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from uproar.results.result import Result


def latex(result: Result, removal: str | None = None) -> str:
    """Return the leaderboard as a LaTeX table (booktabs): gains with intervals, and verdicts."""
    board = result.leaderboard(removal)
    table = pd.DataFrame({"explainer": board["explainer"].map(_tex)})
    for protocol in compared():
        columns = [board[f"{protocol.column}_{part}"] for part in ("gain", "low", "high")]
        if columns[0].notna().any():
            table[_tex(protocol.short)] = [_interval(*row) for row in zip(*columns, strict=True)]
    if board["mask_only_accuracy"].notna().any():
        table["mask only"] = board["mask_only_accuracy"].map("{:.3f}".format)
    judged = zip(board["verdict"], board["reason"], strict=True)
    table["verdict"] = [_tex(verdict_called(*keys).phrase) for keys in judged]
    lines = [" & ".join(row) + r" \\" for row in table.itertuples(index=False, name=None)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_caption(result, removal)}}}",
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


def _caption(result: Result, removal: str | None) -> str:
    spec = result.spec
    return (
        f"Gains over a random ranking ({_tex(result.score)} $\\times$ fraction) on "
        f"{_tex(spec.data_name)}, model {_tex(spec.model)}, "
        f"removal {_tex(removal or spec.removals[0])}, {spec.repeats} repeats, "
        f"{trained(spec.base_models, spec.source.folds)}, split seed "
        f"{spec.seed}; 95\\,\\% intervals {_covered(spec.base_models)}, verdicts after Holm's "
        "correction."
    )


def _covered(base_models: int) -> str:
    """Return what intervals are about."""
    return "for this model" if base_models == 1 else "for models trained by this recipe"


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
    run = set(curves["protocol"])
    shown = [c for protocol in known() for c in protocol.curves if c.name in run]
    if not shown:
        raise UproarError(f"there are no curves to plot for removal {removal!r}")
    drawn = Figure(figsize=(4.2 * len(shown), 4.4), layout="constrained")
    panels = drawn.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    order = result.leaderboard(removal)["explainer"]
    for panel, curve in zip(panels, shown, strict=True):
        _panel(panel, curves[curves["protocol"] == curve.name], order)
        panel.set(title=curve.panel, xlabel="fraction of features", xlim=(0, 1))
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
