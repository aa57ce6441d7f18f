"""The table of protocols that a content has: the five that are built in, and one of an outsider."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

KEEP_LEAST = {
    "protocol": "keep-least",
    "short": "keep-least",
    "meaning": "Keep only the least important features, retrain, see {score} fall.",
    "gain": "Area between the curves of random and of the explainer; positive is good",
    "question": "information",
    "compared": True,
    "reads_own_masks": True,
    "ordering": 5,
    "curve": "keep-least",
    "direction": "lower",
    "keeps": True,
    "title": "Keeping the least important",
    "reading": "Lower is better.",
}
TEXTS = {
    "roar": (
        "ROAR",
        "Remove the features called most important, retrain, and see how much {score} is lost. "
        "A gain in grey is not to be used: its verdict is withheld.",
        "Area between random's curve and the explainer's when the most important features are "
        "removed and the model is retrained; positive is good",
    ),
    "kar": (
        "KAR",
        "Keep only the features called most important, retrain, and see how much {score} stays.",
        "The area between random's curve and the explainer's when only the most important "
        "features are kept; positive is good",
    ),
    "mask-only": ("mask-only", "Train on the shape of the removed mask alone.", ""),
    "retrain-once": (
        "retrain-once",
        "One model, trained on inputs with random removal, judges all explainers. The bar shows "
        "the interval; the thin line is zero, which is random.",
        "The same area judged by one model that was trained on random removal, which leaks far "
        "less; positive is good",
    ),
    "no-retrain": (
        "no-retrain",
        "The explained model itself judges inputs without the features called most important. It "
        "was not made for such inputs, so that some of the {score} is lost to their oddness and "
        "not to what was removed. The bar shows the interval; the thin line is zero, which is "
        "random.",
        "Area between random's curve and the explainer's when the most important features are "
        "removed and the model stays as it is; positive is good",
    ),
}
CURVE_TEXTS = {
    "roar": (
        *("roar", "lower", "ROAR"),
        "Most important features removed, model retrained. Lower is better.",
    ),
    "kar": (
        *("kar", "higher", "KAR"),
        "Only the most important features kept, model retrained. Higher is better.",
    ),
    "mask-only": ("mask-only", "lower", "Mask only", "What the shape of the mask tells."),
    "retrain-once-removed": (
        *("retrain-once", "lower", "Retrain-once, removing"),
        "One model, trained on random removal, judges all. Lower is better.",
    ),
    "retrain-once-kept": (
        *("retrain-once", "higher", "Retrain-once, keeping"),
        "The same model, only important features kept. Higher is better.",
    ),
    "no-retrain": (
        *("no-retrain", "lower", "No retraining"),
        "The explained model itself, on inputs unlike its training data. Lower is better.",
    ),
}
QUESTIONS = {"mask-only": "control", "no-retrain": "reliance"}
ORDER = ("retrain-once", "roar", "kar", "no-retrain", "mask-only")


def make_protocols(added: Sequence[dict[str, object]] = ()) -> pd.DataFrame:
    """Return a row for every curve; ``added`` are those of other protocols."""
    rows = []
    for curve, (protocol, direction, title, reading) in CURVE_TEXTS.items():
        short, meaning, gain = TEXTS[protocol]
        rows.append(
            {
                "protocol": protocol,
                "short": short,
                "meaning": meaning,
                "gain": gain,
                "question": QUESTIONS.get(protocol, "information"),
                "compared": protocol != "mask-only",
                "reads_own_masks": protocol in {"roar", "kar"},
                "ordering": ORDER.index(protocol),
                "curve": curve,
                "direction": direction,
                "keeps": direction == "higher",
                "title": title,
                "reading": reading,
            }
        )
    return pd.DataFrame([*rows, *added])
