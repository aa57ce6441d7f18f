"""Objects in modules of the user's: the only place that imports, and so runs, such code."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from uproar.registry import unknown
from uproar.types import UproarError


def imported(module: str, thing: str, parameters: Mapping[str, Any]) -> Any:
    """Import an object of the user's, from the working folder or an installed package.

    A class of estimators is called, as it is what makes one; functions and classes of modules are
    called for every training, with ``parameters``.

    :raises UproarError: when there is no such object, it takes no such parameters, or importing
        its module fails.

    >>> imported("torch.nn", "Linear", {"in_features": 2, "out_features": 3})()
    Linear(in_features=2, out_features=3, bias=True)
    """
    found = _module(module)
    try:
        model = getattr(found, thing)
    except AttributeError as error:
        close = difflib.get_close_matches(thing, dir(found), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UproarError(f"model: module {module!r} has no {thing!r}{hint}") from error
    makes = isinstance(model, type) and not issubclass(model, nn.Module)
    if not parameters:
        return model() if makes else model
    if not isinstance(model, type) and (isinstance(model, nn.Module) or hasattr(model, "fit")):
        raise UproarError(f"model: {module}:{thing} takes no model_parameters, it is an object")
    _check_parameters(f"{module}:{thing}", model, parameters)
    return model(**parameters) if makes else partial(model, **parameters)


def reason_of(error: Exception) -> str:
    """Return what code of the user's raised, and where, in one line."""
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or isinstance(error, SyntaxError):  # which says itself where it is
        return what
    return f"{what} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _module(name: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    # Whatever code of somebody else raises, it is theirs to put right.
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise UproarError(
                f"model: there is no module {missing!r} in {folder} or among the installed packages"
            ) from error
        raise UproarError(f"model: importing {name!r} failed: {reason_of(error)}") from error


def _check_parameters(name: str, function: Any, parameters: Mapping[str, Any]) -> None:
    if not callable(function):
        raise UproarError(f"model: {name} takes no model_parameters, it is an object")
    known = _keywords(function)
    for parameter in parameters:
        if known is not None and parameter not in known:
            raise UproarError(f"model {name}: {unknown(parameter, known, 'parameter')}")


def _keywords(function: Callable[..., Any]) -> list[str] | None:
    """Return the parameters that can be given by name; None when any can."""
    found = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in found):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in found if parameter.kind in named]
