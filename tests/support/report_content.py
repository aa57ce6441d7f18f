"""A realistic report content: shaped like a run on digits, with numbers from a formula."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from tests.support.report_galleries import make_gallery
from tests.support.report_protocols import KEEP_LEAST, make_protocols
from uproar.report.content import ReportContent
from uproar.report.page import render
from uproar.types import Kind, Task

EXPLAINERS = (
    *("random", "edge", "magnitude", "grad", "ig", "gb", "abs-grad", "abs-ig", "abs-gb"),
    *("sq-grad", "sq-ig", "sq-gb", "sg-grad", "sg-ig", "sg-gb", "sgsq-grad", "sgsq-ig", "sgsq-gb"),
    *("var-grad", "var-ig", "var-gb", "input-grad"),
)
FEW = EXPLAINERS[:6]
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
PROTOCOLS = ("roar", "kar", "retrain-once-removed", "retrain-once-kept", "no-retrain")
JUDGED = ("roar", "kar", "retrain-once", "no-retrain", "keep-least")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(2)</script>",
    "<!--<b>bold</b> %{x} &lt;i&gt; {{ 7 * 7 }}",
    '<a href="javascript:alert(3)">press</a>',
    "line\u2028separator\u2029'onmouseover='alert(4)",
)


def make_content(
    *,
    explainers: Sequence[str] = EXPLAINERS,
    removals: Sequence[str] = ("mean",),
    protocols: Sequence[str] = PROTOCOLS,
    kind: Kind = "image",
    task: Task = "classification",
    class_names: Sequence[str] = tuple("0123456789"),
    side: int = 8,
    patch: int = 1,
) -> ReportContent:
    """Return a complete content; ``protocols`` left out have no curves and no gains."""
    judged = [name for name in JUDGED if _was_run(name, protocols)]
    regression = task == "regression"
    answers = tuple(f"{1.7 * place - 2:.2f}" for place in range(7)) if regression else class_names
    gains = _gains(explainers, removals, judged)
    return ReportContent(
        spec_toml='[data]\nname = "digits"\n\n[run]\nrepeats = 5\n',
        command="uproar run digits --model mlp --repeats 5",
        data={
            "name": "digits",
            "seed": 0,
            "kind": kind,
            "task": task,
            "score": "R²" if regression else "accuracy",
            "train": 1149,
            "validation": 288,
            "test": 360,
            "features": {"image": (-(-side // patch)) ** 2, "table": 11, "text": 64, "series": 120}[
                kind
            ],
            "input_shape": {
                "image": (1, side, side),
                "table": (19,),
                "text": (64,),
                "series": (3, 120),
            }[kind],
            "patch": patch,
            "vocabulary": 9000 if kind == "text" else None,
            "classes": 0 if regression else len(class_names),
            "majority_rate": -0.0012 if regression else 0.1014,
        },
        model={
            "name": "mlp",
            "parameters": 26122,
            "accuracy": 0.8134 if regression else 0.9712,
            "low": 0.7902 if regression else 0.9528,
            "high": 0.8311 if regression else 0.9861,
            "mse": 12.34 if regression else None,
            "base_models": 1,
            "training": "adam, 30 epochs",
        },
        protocols=make_protocols([KEEP_LEAST] if "keep-least" in protocols else ()),
        leaderboard=_leaderboard(explainers),
        gains=gains,
        curves=_curves(explainers, removals, protocols, task),
        leaks=_leaks(explainers, removals),
        pairs=_pairs(explainers, judged),
        agreement=_agreement(judged, len(explainers)),
        error=_error(judged),
        detectable={name: 0.011 + 0.004 * place for place, name in enumerate(judged)},
        explainers=_described(explainers),
        gallery=make_gallery(explainers, kind, answers, side=side, patch=patch),
        skipped=(("deeplift", "the model has a residual sum that DeepLIFT has no rule for"),),
        failed=(
            (
                "occlusion",
                "RuntimeError: expected 4 dimensions, got 2",
                'Traceback (most recent call last):\n  File "occlusion.py", line 40\nRuntimeError',
            ),
        ),
        notes=("1 damaged outcome was computed again: cell 3f2a91",),
        provenance={"uproar": "0.1.0", "torch": "2.13.0", "device": "cpu", "seed": "0"},
        timings=_timings(explainers),
    )


@cache
def plain_page() -> str:
    """Return the page of the content as it is, rendered once for all tests that only read it."""
    return render(make_content())


def quality(name: str) -> float:
    """Return a gain between -0.06 and 0.28 that depends on nothing but the name."""
    fixed = {"random": 0.0, "ig": 0.268, "abs-ig": 0.251, "sg-ig": 0.262, "grad": 0.12, "gb": 0.05}
    return fixed.get(name, zlib.crc32(name.encode()) % 1000 / 1000 * 0.34 - 0.06)


def leaks(name: str) -> bool:
    """Return whether the mask of this explainer leaks: all do but the controls."""
    return name not in {"random", "edge"}


def _was_run(protocol: str, protocols: Sequence[str]) -> bool:
    return any(name.startswith(protocol) for name in protocols)


def _gain(name: str, protocol: str) -> float:
    gain = quality(name)
    return {
        "roar": -gain - 0.05 if gain else 0.0,
        "kar": gain * 0.8,
        "retrain-once": gain,
        "no-retrain": gain * 0.4,
        "keep-least": gain * 0.6,
    }[protocol]


def _verdict(name: str, protocol: str) -> str:
    gain = _gain(name, protocol)
    if protocol == "roar" and leaks(name):
        return "withheld"
    if abs(gain) < 0.02:
        return "alike"
    return "better" if gain > 0 else "worse"


def _gains(
    explainers: Sequence[str], removals: Sequence[str], judged: Sequence[str]
) -> pd.DataFrame:
    rows = []
    for removal in removals:
        for protocol in judged:
            others = [name for name in explainers if name != "random"]
            order = sorted(others, key=lambda name: -_gain(name, protocol))
            rows += [
                {
                    "protocol": protocol,
                    "removal": removal,
                    "explainer": name,
                    "gain": _gain(name, protocol),
                    "low": _gain(name, protocol) - 0.012,
                    "high": _gain(name, protocol) + 0.012,
                    "normalised": _gain(name, protocol) / 0.4,
                    "p_value": 0.001,
                    "p_holm": 0.02,
                    "verdict": _verdict(name, protocol),
                    "reason": "leaks" if _verdict(name, protocol) == "withheld" else "",
                    "rank": rank,
                    "rank_low": max(rank - 1, 1),
                    "rank_high": min(rank + 1, len(others)),
                }
                for rank, name in enumerate(order, start=1)
            ]
    return pd.DataFrame(rows)


def _accuracy(name: str, protocol: str, fraction: float) -> float:
    """Return a curve that falls (or rises) by the explainer's quality."""
    kept = protocol in {"kar", "retrain-once-kept"}
    lost = 1 - fraction if kept else fraction
    random = 0.10 + 0.87 * (1 - lost**2.6)
    lead = (
        4.5 * fraction * (1 - fraction) * quality(name) * (0.4 if protocol == "no-retrain" else 1)
    )
    if protocol == "roar" and leaks(name):
        return 0.97 - 0.03 * fraction if fraction < 1 else 0.10
    value = random + lead * (0.55 if kept else -1.0) - (0.12 * lost if "once" in protocol else 0)
    return float(np.clip(value, 0.08, 0.975))


def _score(name: str, protocol: str, fraction: float, task: Task) -> float:
    """Return the accuracy of a point, or an R² that falls below zero without retraining."""
    accuracy = _accuracy(name, protocol, fraction)
    if task == "classification":
        return accuracy
    return 0.9 * (accuracy - 0.1) - (2.6 * fraction if protocol == "no-retrain" else 0.03)


def _curves(
    explainers: Sequence[str], removals: Sequence[str], protocols: Sequence[str], task: Task
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "protocol": protocol,
                "removal": removal,
                "explainer": name,
                "fraction": fraction,
                "value": _score(name, protocol, fraction, task),
                "low": _score(name, protocol, fraction, task) - 0.015,
                "high": _score(name, protocol, fraction, task) + 0.015,
                "repeats": 5,
            }
            for removal in removals
            for protocol in protocols
            for name in explainers
            for fraction in (0.0, *FRACTIONS, 1.0)
        ]
    )


def _leaks(explainers: Sequence[str], removals: Sequence[str]) -> pd.DataFrame:
    rows = []
    for removal in removals:
        for name in explainers:
            for fraction in FRACTIONS:
                level = 0.97 - 0.1 * fraction if leaks(name) else 0.11 + 0.02 * fraction
                level -= zlib.crc32(name.encode()) % 40 / 100 * (name.startswith(("abs", "var")))
                rows.append(
                    {
                        "removal": removal,
                        "explainer": name,
                        "fraction": fraction,
                        "accuracy": level,
                        "low": level - 0.02,
                        "high": level + 0.02,
                        "share": (level - 0.1) / 0.87,
                        "share_low": (level - 0.14) / 0.87,
                        "share_high": (level - 0.06) / 0.87,
                        "mask": "leaks" if leaks(name) else "clear",
                    }
                )
    return pd.DataFrame(rows)


def _pairs(explainers: Sequence[str], judged: Sequence[str]) -> pd.DataFrame:
    columns = ["protocol", "first", "second", "difference", "p_holm", "distinguishable"]
    rows = []
    for protocol in judged:
        for first, second in combinations([name for name in explainers if name != "random"], 2):
            difference = _gain(first, protocol) - _gain(second, protocol)
            apart = abs(difference) > 0.02
            rows.append((protocol, first, second, difference, 0.004 if apart else 0.6, apart))
    return pd.DataFrame(rows, columns=columns)


def _agreement(judged: Sequence[str], amount: int) -> pd.DataFrame:
    known = {("roar", "kar"): -0.81, ("roar", "retrain-once"): -0.9, ("kar", "retrain-once"): 0.93}
    rows = [
        (first, second, value, value - 0.06, value + 0.05, amount)
        for (first, second), value in known.items()
        if first in judged and second in judged
    ]
    return pd.DataFrame(rows, columns=["first", "second", "spearman", "low", "high", "explainers"])


def _error(judged: Sequence[str]) -> pd.DataFrame:
    parts = (("base models", 1, None, None), ("repeats", 5, 0.2, 0.1), ("examples", 360, 0.8, 0.5))
    rows = [(name, *part) for name in judged for part in parts]
    return pd.DataFrame(rows, columns=["protocol", "level", "units", "share", "narrows"])


def _kind(name: str) -> str:
    if name in {"random", "edge", "magnitude"}:
        return "control"
    return "ensemble" if name.startswith(("sg", "var")) else "gradient"


def _described(explainers: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "name": name,
                "kind": _kind(name),
                "signed": name in {"grad", "ig", "gb", "sg-grad", "sg-ig", "sg-gb", "input-grad"},
                "scope": "local",
                "summary": f"what {name} does in one line",
                "paper": "Sundararajan et al. 2017, arXiv 1703.01365",
            }
            for name in explainers
        ]
    )


def _seconds(name: str) -> float:
    return {"control": 0.02, "gradient": 0.3, "ensemble": 4.0}[_kind(name)] * (
        1 + zlib.crc32(name.encode()) % 7
    )


def _leaderboard(explainers: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"explainer": name, "kind": _kind(name), "seconds": _seconds(name)} for name in explainers]
    )


def _timings(explainers: Sequence[str]) -> pd.DataFrame:
    rows = [("explain", name, "explain", _seconds(name)) for name in explainers]
    rows += [("retrain", f"group {number}", "train", 41.5) for number in range(8)]
    return pd.DataFrame(rows, columns=["kind", "cell", "stage", "seconds"])
