"""Tables of OpenML by number, through scikit-learn, which keeps what it has downloaded."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from uproar.data.table.tables import from_frame
from uproar.dataset import Data
from uproar.types import Source, UproarError


def from_openml(number: int, *, seed: int, source: Source) -> Data:
    """Return the table with a number on openml.org, split by ``seed``.

    As :func:`uproar.data.table.tables.from_frame`, with the table's own target unless ``source``
    names another.

    :param number: as in the address of its page, https://www.openml.org/d/NUMBER.
    :raises UproarError: when there is no such table, it cannot be downloaded, or does not fit.

    Vanschoren, van Rijn, Bischl and Torgo 2014, arXiv 1407.7722.

    >>> from_openml(0, seed=0, source=Source())
    Traceback (most recent call last):
    uproar.types.UproarError: OpenML numbers its tables from 1, got 0
    """
    if number < 1:
        raise UproarError(f"OpenML numbers its tables from 1, got {number}")
    for key, value in (("test", source.test), ("validation", source.validation)):
        if value:
            raise UproarError(f"a table of OpenML is split by seed; it takes no {key}={value!r}")
    table, warned = _fetched(number)
    target = source.target or ",".join(table.target_names)
    if "," in target:
        raise UproarError(
            f"OpenML table {number} has several targets ({target}): choose one with --target, and "
            "drop the others"
        )
    about = table.details
    told = f"OpenML table {number} is {about.get('name', '')!r}, version {about.get('version', 1)}"
    source = replace(source, target=target)
    data = from_frame(table.frame, name=f"openml-{number}", seed=seed, source=source)
    return replace(data, notes=(f"{told}; its target is {target!r}.", *warned, *data.notes))


def _fetched(number: int) -> tuple[Any, list[str]]:
    """Return scikit-learn's answer, and what it warned of, such as a table that has faults."""
    from http.client import HTTPException

    from sklearn.datasets import fetch_openml

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            table = fetch_openml(data_id=number, as_frame=True, n_retries=1, delay=0.1)
        except (OSError, ValueError, HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UproarError(
                f"OpenML table {number} cannot be had: {reason}; is the number right, and this "
                "machine connected to the network?"
            ) from error
    return table, [" ".join(str(warning.message).split()) for warning in caught]
