"""What tells one estimator or function from another, the same in every process."""

from __future__ import annotations

import hashlib
import sysconfig
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from uproar.types import UproarError

# Where the standard library and installed packages are.
INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))
Plain = (type(None), type(...), bool, int, float, complex, str, bytes, np.generic)


def digest_of(model: Any) -> str:
    """Return the hash of an unfitted estimator, of a function, or of a trained module.

    Estimators go by their class and parameters, nested ones included. Functions go by module,
    name, code, defaults, and the values that they enclose or find in their module; estimators
    among those go by what they have learned. Functions of installed packages go by name alone.
    Arrays go by their bytes, other objects by class and state.

    :raises UproarError: for an object whose state cannot be told (an open file).

    >>> from sklearn.linear_model import Ridge
    >>> digest_of(Ridge(alpha=1.0)) == digest_of(Ridge())
    True
    >>> digest_of(Ridge(alpha=2.0)) == digest_of(Ridge())
    False
    """
    return _Describer()(model)[:16]


@dataclass(frozen=True)
class _Describer:
    """Hashes values: text of text of text would grow with every level.

    ``above`` has the ids of what contains the value, to end cycles. ``learned`` says whether
    estimators have been fitted: those that are found in functions and objects have. ``functions``
    has the ids of those that were described before; again they go by name alone, or functions
    that call each other would be described along every way from one to another.
    """

    above: tuple[int, ...] = ()
    learned: bool = False
    functions: set[int] = field(default_factory=set)

    def __call__(self, value: Any) -> str:
        return hashlib.sha256(self._text(value).encode()).hexdigest()

    def _text(self, value: Any) -> str:
        if isinstance(value, Plain):
            return f"{type(value).__name__}:{value!r}"
        if id(value) in self.above:
            return f"above:{len(self.above) - self.above.index(id(value))}"
        inner = replace(self, above=(*self.above, id(value)))
        for kinds, describe in DESCRIPTIONS:
            if isinstance(value, kinds):
                return f"{_path(type(value))}:{describe(inner, value)}"
        return f"{_path(type(value))}:{_object(inner, value)}"


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _mapping(describe: _Describer, value: Mapping[Any, Any]) -> str:
    return str(sorted((describe(key), describe(item)) for key, item in value.items()))


def _sequence(describe: _Describer, value: list[Any] | tuple[Any, ...]) -> str:
    return str([describe(item) for item in value])


def _set(describe: _Describer, value: set[Any] | frozenset[Any]) -> str:
    return str(sorted(describe(item) for item in value))


def _array(describe: _Describer, value: Tensor | np.ndarray | bytearray) -> str:
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.hasobject:
        return f"{array.shape}:{[describe(item) for item in array.ravel()]}"
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return f"{array.dtype}:{array.shape}:{digest}"


def _partial(describe: _Describer, value: partial[Any]) -> str:
    return describe((value.func, value.args, value.keywords))


def _method(describe: _Describer, value: MethodType) -> str:
    inner = replace(describe, learned=True)
    return f"{inner(value.__func__)}:{inner(value.__self__)}"


def _builtin(describe: _Describer, value: BuiltinFunctionType) -> str:
    owner = value.__self__
    bound = "" if owner is None or isinstance(owner, ModuleType) else describe(owner)
    return f"{value.__module__}.{value.__qualname__}:{bound}"


def _function(describe: _Describer, value: FunctionType) -> str:
    name = f"{value.__module__}.{value.__qualname__}"
    if value.__code__.co_filename.startswith(INSTALLED) or id(value) in describe.functions:
        return name
    describe.functions.add(id(value))
    inner = replace(describe, learned=True)
    enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
    space = value.__globals__
    found = {key: space[key] for key in sorted(_names(value.__code__)) if key in space}
    defaults = (value.__defaults__, value.__kwdefaults__)
    return f"{name}:{inner((value.__code__, defaults, enclosed, found))}"


def _names(code: CodeType) -> set[str]:
    """Return the names that a function looks up, and those that its inner functions do."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _code(describe: _Describer, code: CodeType) -> str:
    # Neither file nor line numbers, which change when code moves.
    parts = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_consts)
    return describe(parts)


def _object(describe: _Describer, value: Any) -> str:
    # FrozenEstimator is there to keep what an estimator has learned.
    learned = describe.learned or type(value).__name__ == "FrozenEstimator"
    if hasattr(value, "get_params") and not learned:
        return describe(value.get_params(deep=False))
    return replace(describe, learned=True)(_state(value))


def _state(value: Any) -> Any:
    """Return what pickling would keep of an object."""
    try:
        reduced = value.__reduce_ex__(2)
    except (TypeError, ValueError) as error:
        raise UproarError(
            f"cannot tell whether a {_path(type(value))} stays the same, which stored results "
            "depend on; leave it out of the model, or make it when the model is called"
        ) from error
    if isinstance(reduced, str):
        return reduced
    arguments, state, items, pairs = (*reduced[1:5], None, None, None)[:4]
    if isinstance(state, Mapping):
        # The same estimator is the same in another version of scikit-learn.
        state = {key: item for key, item in state.items() if key != "_sklearn_version"}
    return arguments, state, list(items or ()), list(pairs or ())


# What threads wait for has no state to speak of.
WAITED_FOR = (type(threading.Lock()), type(threading.RLock()), threading.local)
DESCRIPTIONS: tuple[tuple[Any, Callable[[_Describer, Any], str]], ...] = (
    (type, lambda _, value: _path(value)),
    (WAITED_FOR, lambda _, value: ""),  # noqa: ARG005 - nothing to tell
    (ModuleType, lambda _, value: str(value.__name__)),
    (Mapping, _mapping),
    ((list, tuple), _sequence),
    ((set, frozenset), _set),
    ((Tensor, np.ndarray, bytearray), _array),
    (partial, _partial),
    (MethodType, _method),
    (BuiltinFunctionType, _builtin),
    (np.ufunc, lambda _, value: str(value.__name__)),
    (FunctionType, _function),
    (CodeType, _code),
)
