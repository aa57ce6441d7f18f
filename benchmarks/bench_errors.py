"""How often verdicts are wrong, and intervals right, in simulated worlds where the truth is known.

Every number here is a count over worlds; nothing is timed. `docs/validity.md` tells the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from uproar.stats.levels import CROSSED, Design, level_means, two_sided, variances

REPEATS = (2, 3, 5, 10)
RATIOS = (0.1, 0.25, 0.5, 1.0, 2.0)  # error of the examples' mean to that of one repeat
FAMILIES = (5, 22)
EXAMPLES = 60
WORLDS, AT_ONCE = 400, 200
LEVEL = 0.05

Test = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def arms(
    random: np.random.Generator,
    explainers: int,
    shape: tuple[int, int],
    *,
    ratio: float,
    repeat: float = 1.0,
    base: float = 0.0,
    interaction: float = 0.0,
) -> NDArray[np.float64]:
    """Return noise of arms (worlds, explainers, base models, repeats, examples), all alike."""
    bases, repeats = shape

    def normal(*size: int) -> NDArray[np.float64]:
        return random.standard_normal((AT_ONCE, explainers, *size))

    return (
        repeat * normal(1, repeats, 1)
        + base * normal(bases, 1, 1)
        + interaction * normal(bases, repeats, 1)
        + ratio * np.sqrt(EXAMPLES) * normal(1, 1, EXAMPLES)
    )


def null_gains(
    random: np.random.Generator,
    explainers: int,
    shape: tuple[int, int],
    *,
    shared: bool,
    **noise: float,
) -> NDArray[np.float64]:
    """Return gains of explainers equal to random, whose arm is shared or drawn for each."""
    reference = arms(random, 1 if shared else explainers, shape, **noise)
    return reference - arms(random, explainers, shape, **noise)


def one_scale_per_level(
    gains: NDArray[np.float64], design: Design = CROSSED
) -> NDArray[np.float64]:
    """Return p-values as uproar has them."""
    mean, errors, units = _levels(gains, design)
    return two_sided(mean, errors, units)


def one_scale_for_all(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values as uproar had them: one t, with degrees of freedom after Satterthwaite."""
    mean, errors, units = _levels(gains)
    total = errors.sum(axis=0)
    freedom = 1 / ((errors / total) ** 2 / (np.array(units) - 1)[:, None]).sum(axis=0)
    return np.asarray(2 * stdtr(freedom, -np.abs(mean) / np.sqrt(total)))


def pooled_over_explainers(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values whose variances of few units are shrunk to those of the other explainers."""
    worlds, explainers = gains.shape[:2]
    mean, errors, units = _levels(gains)
    family = errors.reshape(len(units), worlds, explainers)
    shrunk, freedom = [], []
    for values, count in zip(family, units, strict=True):
        own, prior = count - 1, _prior_freedom(values, count - 1)
        middle = values.mean(axis=1, keepdims=True)
        few = count <= max(REPEATS)
        shrunk.append((own * values + prior * middle) / (own + prior) if few else values)
        freedom.append((own + prior if few else 0 * prior + own) + 0 * values)
    squared, degrees = np.stack(shrunk), np.stack(freedom)
    total = squared.sum(axis=0)
    satterthwaite = 1 / ((squared / total) ** 2 / degrees).sum(axis=0)
    ratio = -np.abs(mean).reshape(worlds, explainers) / np.sqrt(total)
    return np.asarray(2 * stdtr(satterthwaite, ratio)).ravel()


def _prior_freedom(values: NDArray[np.float64], own: int) -> NDArray[np.float64]:
    """Return how many degrees of freedom the other explainers are worth, by how alike they are."""
    spread = np.log(np.maximum(values, 1e-12)).var(axis=1, ddof=1, keepdims=True)
    beyond = np.maximum(spread - 2 / own, 1e-3)  # the logarithm of χ² has variance near 2 / freedom
    return np.minimum(2 / beyond, 1e3)


def _levels(
    gains: NDArray[np.float64], design: Design = CROSSED
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    flat = gains.reshape(-1, *gains.shape[2:])
    means = list(level_means(flat, design).values())
    return flat.mean(axis=(1, 2, 3)), variances(means), [values.shape[1] for values in means]


def any_false_verdict(test: Test, draw: Callable[[], NDArray[np.float64]]) -> float:
    """Return the share of worlds in which Holm calls some explainer different."""
    found = []
    for _ in range(WORLDS // AT_ONCE):
        gains = draw()
        p_values = test(gains).reshape(gains.shape[:2])
        found.append(p_values.min(axis=1) * gains.shape[1] <= LEVEL)
    return float(np.mean(found))


OWN = Design(own_repeats=True)
# The noise of repeats that base models do not share is that of the interaction.
WORLD_KINDS: dict[str, tuple[int, Design, dict[str, float]]] = {
    "one base model": (1, CROSSED, {}),
    "three base models, shared repeats": (3, CROSSED, {"base": 1.0}),
    "three, shared, with interaction": (3, CROSSED, {"base": 1.0, "interaction": 1.0}),
    "three base models, repeats of their own": (
        3,
        OWN,
        {"base": 1.0, "repeat": 0.0, "interaction": 1.0},
    ),
    "five base models, repeats of their own": (
        5,
        OWN,
        {"base": 1.0, "repeat": 0.0, "interaction": 1.0},
    ),
}


def family_rows() -> Iterator[dict[str, Any]]:
    """Yield, for every kind of world, the largest error rate over families and random arms."""
    random = np.random.default_rng(0)
    for kind, (bases, design, noise) in WORLD_KINDS.items():
        for repeats in REPEATS:
            for ratio in RATIOS:
                rates: dict[str, list[float]] = {"before": [], "now": []}
                for explainers in FAMILIES:
                    for shared in (True, False):
                        settings = {"shared": shared, "ratio": ratio, **noise}

                        draw = partial(null_gains, random, explainers, (bases, repeats), **settings)
                        rates["before"].append(any_false_verdict(one_scale_for_all, draw))
                        rates["now"].append(
                            any_false_verdict(partial(one_scale_per_level, design=design), draw)
                        )
                yield {
                    "worlds": kind,
                    "repeats": repeats,
                    "examples' error": ratio,
                    "before, largest": max(rates["before"]),
                    "now, largest": max(rates["now"]),
                }


def power_rows() -> Iterator[dict[str, Any]]:
    """Yield how often a gain is found that would be found in four of five runs of known error."""
    random, explainers = np.random.default_rng(1), 21
    for repeats in REPEATS:
        row: dict[str, Any] = {"repeats": repeats}
        for ratio in RATIOS:
            error = np.sqrt(2 / repeats + 2 * ratio**2)
            gain = error * (ndtri(1 - LEVEL / (2 * explainers)) + ndtri(0.8))
            noise = null_gains(random, explainers, (1, repeats), shared=True, ratio=ratio)
            p_values = one_scale_per_level(noise + gain).reshape(AT_ONCE, explainers)
            row[f"examples' error {ratio:g}"] = float((p_values * explainers <= LEVEL).mean())
        yield row


def coverage_rows() -> Iterator[dict[str, Any]]:
    """Yield how often an interval over the recipe holds the truth."""
    random = np.random.default_rng(3)
    for bases, repeats in ((3, 2), (5, 1), (5, 2), (5, 5), (10, 2)):
        row: dict[str, Any] = {"base models": bases, "repeats of each": repeats}
        for ratio in RATIOS:
            noise = {"repeat": 0.0, "base": 1.0, "interaction": 1.0, "ratio": ratio}
            found = [
                one_scale_per_level(
                    null_gains(random, 5, (bases, repeats), shared=False, **noise), OWN
                )
                for _ in range(WORLDS // AT_ONCE)
            ]
            row[f"examples' error {ratio:g}"] = float((np.concatenate(found) > LEVEL).mean())
        yield row


def pooling_rows() -> Iterator[dict[str, Any]]:
    """Yield error rates of variances that are pooled over explainers, where these are not alone."""
    random, explainers, ratio = np.random.default_rng(2), 21, 0.1
    for repeats in REPEATS[:3]:
        shape = (1, repeats)

        def clones(at: tuple[int, int] = shape) -> NDArray[np.float64]:
            one = null_gains(random, 1, at, shared=True, ratio=ratio)
            return one + 0.01 * arms(random, explainers, at, ratio=ratio)

        yield {
            "repeats": repeats,
            "own random arms": any_false_verdict(
                pooled_over_explainers,
                lambda at=shape: null_gains(random, explainers, at, shared=False, ratio=ratio),
            ),
            "one random arm": any_false_verdict(
                pooled_over_explainers,
                lambda at=shape: null_gains(random, explainers, at, shared=True, ratio=ratio),
            ),
            "explainers nearly alike": any_false_verdict(pooled_over_explainers, clones),
        }


def tables() -> dict[str, list[dict[str, Any]]]:
    """Return all tables by their titles."""
    return {
        "Families with any false verdict": list(family_rows()),
        "Power, where known errors would give 0.8 (21 explainers)": list(power_rows()),
        "Coverage of intervals over the recipe": list(coverage_rows()),
        "Variances pooled over 21 explainers: families with any false verdict": list(
            pooling_rows()
        ),
    }


if __name__ == "__main__":
    from run import markdown

    for title, table in tables().items():
        print(f"\n## {title}\n\n{markdown(table)}")
