"""Protocols by name: ROAR, KAR, the leak control, retrain-once, and no retraining.

Whoever needs them asks the functions of this module, which read :data:`PROTOCOLS` when they are
called: a protocol that is added here is known everywhere.
"""

from __future__ import annotations

from uproar.protocols.protocol import BELIEVED, Curve, Protocol
from uproar.registry import find

PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        name="roar",
        summary="remove the most important features, retrain, see accuracy fall",
        path="uproar.protocols.roar:roar",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        curves=(
            Curve(
                "roar",
                "lower",
                title="ROAR",
                reading="Most important features removed, model retrained. Lower is better.",
                panel="ROAR: most important removed, retrained",
            ),
        ),
        reads_own_masks=True,
        short="ROAR",
        meaning="Remove the features called most important, retrain, and see how much {score} is "
        "lost. A gain in grey is not to be used: its verdict is withheld.",
        gain="Area between random's curve and the explainer's when the most important features "
        "are removed and the model is retrained; positive is good",
    ),
    Protocol(
        name="kar",
        summary="keep only the most important features, retrain, see accuracy stay",
        path="uproar.protocols.roar:kar",
        paper="Hooker et al. 2019, arXiv 1806.10758",
        curves=(
            Curve(
                "kar",
                "higher",
                title="KAR",
                reading="Only the most important features kept, model retrained. Higher is better.",
                panel="KAR: only most important kept, retrained",
                keeps=True,
            ),
        ),
        # With everything kept nothing is removed: the two models that ROAR ends with are those of
        # KAR.
        ends="roar",
        reads_own_masks=True,
        short="KAR",
        meaning="Keep only the features called most important, retrain, and see how much {score} "
        "stays.",
        gain="The area between random's curve and the explainer's when only the most important "
        "features are kept; positive is good",
    ),
    Protocol(
        name="mask-only",
        summary="leak control: train on the shape of the removed mask alone",
        path="uproar.protocols.leakage:mask_only",
        paper="Rong et al. 2022, arXiv 2202.00449",
        question="control",
        curves=(Curve("mask-only", "lower"),),
        compared=False,
        repeats="mask_only_repeats",
        removals="none",
    ),
    Protocol(
        name="retrain-once",
        summary="one model trained under random removal scores removing and keeping for all",
        path="uproar.protocols.retrain_once:retrain_once",
        paper="Jethani et al. 2021, arXiv 2103.01890",
        asks="once",
        curves=(
            Curve(
                "retrain-once-removed",
                "lower",
                title="Retrain-once, removing",
                reading="One model, trained on random removal, judges all. Lower is better.",
                panel="retrain-once: most important removed",
            ),
            Curve(
                "retrain-once-kept",
                "higher",
                title="Retrain-once, keeping",
                reading="The same model, only important features kept. Higher is better.",
                panel="retrain-once: only most important kept",
                keeps=True,
            ),
        ),
        narrow="once",
        meaning="One model, trained on inputs with random removal, judges all explainers. The bar "
        "shows the interval; the thin line is zero, which is random.",
        gain="The same area judged by one model that was trained on random removal, which leaks "
        "far less; positive is good",
    ),
    Protocol(
        name="no-retrain",
        summary="remove the most important features and ask the base model itself",
        path="uproar.protocols.no_retrain:no_retrain",
        paper="Samek et al. 2017, arXiv 1509.06321",
        question="reliance",
        asks="base model",
        curves=(
            Curve(
                "no-retrain",
                "lower",
                title="No retraining",
                reading="The explained model itself, on inputs unlike its training data. Lower is "
                "better.",
                panel="without retraining",
            ),
        ),
        meaning="The explained model itself judges inputs without the features called most "
        "important. It was not made for such inputs, so that some of the {score} is lost to their "
        "oddness and not to what was removed. The bar shows the interval; the thin line is zero, "
        "which is random.",
        gain="Area between random's curve and the explainer's when the most important features "
        "are removed and the model stays as it is; positive is good",
    ),
)


def known() -> tuple[Protocol, ...]:
    """Return all protocols, in the order in which tables list them."""
    return PROTOCOLS


def compared() -> list[Protocol]:
    """Return the protocols by which explainers are compared with random."""
    return [protocol for protocol in known() if protocol.compared]


def best_first() -> list[Protocol]:
    """Return the compared protocols, those first whose order of explainers is believed most."""
    return sorted(compared(), key=lambda protocol: BELIEVED.index(protocol.asks))


def find_protocol(name: str) -> Protocol:
    """Return the protocol called ``name``.

    :raises UproarError: with the close names, when there is none.

    >>> find_protocol("kar").ends
    'roar'
    """
    return find(name, known(), "protocol")


def leak_control() -> Protocol:
    """Return the control that asks what the removed masks alone tell."""
    return next(protocol for protocol in known() if protocol.question == "control")


def can_leak() -> str:
    """Return what people call the protocols that a leak misleads.

    >>> can_leak()
    'ROAR and KAR'
    """
    *others, last = [protocol.short for protocol in known() if protocol.reads_own_masks]
    return f"{', '.join(others)} and {last}" if others else last


def trained_once() -> Protocol:
    """Return the protocol whose models serve all that ask models which are trained once."""
    return next(protocol for protocol in known() if protocol.asks == "once")
