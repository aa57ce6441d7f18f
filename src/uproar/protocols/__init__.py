"""Protocols by name: ROAR, KAR, the leak control, retrain-once, and no retraining."""

from __future__ import annotations

from typing import Literal

from uproar.registry import Entry

PROTOCOLS = (
    Entry(
        name="roar",
        summary="remove the most important features, retrain, see accuracy fall",
        path="uproar.protocols.roar:roar",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        kind="information",
        direction="lower",
        needs="retraining",
    ),
    Entry(
        name="kar",
        summary="keep only the most important features, retrain, see accuracy stay",
        path="uproar.protocols.roar:kar",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        kind="information",
        direction="higher",
        needs="retraining",
    ),
    Entry(
        name="mask-only",
        summary="leak control: train on the shape of the removed mask alone",
        path="uproar.protocols.leakage:mask_only",
        paper="Rong et al. 2022, arXiv 2202.00449",
        kind="control",
        direction="lower",
        needs="retraining",
    ),
    Entry(
        name="retrain-once",
        summary="one model trained under random removal scores removing and keeping for all",
        path="uproar.protocols.retrain_once:retrain_once",
        paper="Jethani et al. 2021, arXiv 2103.01890",
        kind="information",
        direction="both",
        needs="one training a repeat",
    ),
    Entry(
        name="no-retrain",
        summary="remove the most important features and ask the base model itself",
        path="uproar.protocols.no_retrain:no_retrain",
        paper="Samek et al. 2017, arXiv 1509.06321",
        kind="reliance",
        direction="lower",
    ),
)

# What each protocol's curves are called in tables, with the direction that is better.
CURVES: dict[str, dict[str, Literal["lower", "higher"]]] = {
    "roar": {"roar": "lower"},
    "kar": {"kar": "higher"},
    "mask-only": {"mask-only": "lower"},
    "retrain-once": {"retrain-once-removed": "lower", "retrain-once-kept": "higher"},
    "no-retrain": {"no-retrain": "lower"},
}
