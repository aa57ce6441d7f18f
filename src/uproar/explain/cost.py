"""What an explainer costs: passes through the model for each example, before it is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from uproar.explain.names import ExplainerName

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {"min": min, "max": max, "ceil": math.ceil}


def passes_of(
    name: ExplainerName, *, features: int, outputs: int = 1, table_rows: float = 1
) -> float:
    """Return how many times an example goes through the model, forwards and often backwards.

    The formula of the entry, with its parameters: of an explainer of decisions for each training
    and test example, of one of the function for each held-out example. Members of a family that
    are run together share theirs.

    :param features: of one example. :param outputs: of the model.
    :param table_rows: how many examples of a table are explained together; 1 for other data.

    >>> from uproar.explain.names import parse
    >>> passes_of(parse("sg-ig:steps=10"), features=64), passes_of(parse("occlusion"), features=64)
    (150.0, 65)
    """
    values: dict[str, float | str] = {
        "features": features,
        "outputs": outputs,
        "table_rows": table_rows,
        **dict(name.parameters),
    }
    return _value(ast.parse(name.entry().passes, mode="eval").body, values)


def _value(node: ast.expr, values: Mapping[str, float | str]) -> float:
    """Evaluate numbers, parameters, arithmetic, ``min``, ``max`` and ``ceil``; nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name) and isinstance(number := values.get(node.id), int | float):
        return float(number)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        both = _value(node.left, values), _value(node.right, values)
        return _OPERATORS[type(node.op)](*both)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
    ):
        return _FUNCTIONS[node.func.id](*(_value(one, values) for one in node.args))
    raise ValueError(f"no formula of passes: {ast.unparse(node)!r}")
