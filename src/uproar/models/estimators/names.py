"""Estimators by name, as spec files and the command line give them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from uproar.registry import unknown
from uproar.types import UproarError

# Where to look before all of scikit-learn is imported, which takes seconds.
_USUAL = ("linear_model", "ensemble", "tree", "svm", "neighbors", "naive_bayes", "neural_network")
_BOOSTED = {
    "xgboost": ("XGBClassifier", "XGBRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRegressor"),
}


def estimator_of(name: str, parameters: Mapping[str, Any]) -> Any:
    """Return the estimator of a name, with its parameters set.

    :param name: ``sklearn:CLASS`` with the class of any classifier or regressor of scikit-learn,
        ``xgboost:XGBClassifier``, ``xgboost:XGBRegressor``, ``lightgbm:LGBMClassifier`` or
        ``lightgbm:LGBMRegressor``.
    :param parameters: those of its constructor that differ from their defaults.
    :raises UproarError: when the package, the class or a parameter is unknown, the package is not
        installed, or the estimator cannot be made from plain values.

    >>> estimator_of("sklearn:Ridge", {"alpha": 2.0})
    Ridge(alpha=2.0)
    """
    package, _, class_name = name.partition(":")
    if package == "sklearn":
        kind = _of_scikit_learn(class_name)
    elif package in _BOOSTED:
        kind = _of_boosted(package, class_name)
    else:
        raise UproarError(unknown(package, ["sklearn", *_BOOSTED], "kind of estimator"))
    needed = [
        parameter.name
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if needed:
        raise UproarError(
            f"{name} is made of other estimators ({', '.join(needed)}): build it in Python, and "
            'name the function that returns it: model = "package.module:function"'
        )
    estimator = kind()
    known = estimator.get_params()
    for parameter in parameters:
        if parameter not in known:
            raise UproarError(f"{name}: {unknown(parameter, known, 'parameter')}")
    return estimator.set_params(**parameters)


def _of_scikit_learn(class_name: str) -> Any:
    for place in _USUAL:
        found = getattr(importlib.import_module(f"sklearn.{place}"), class_name, None)
        if _is_model(found):
            return found
    from sklearn.utils.discovery import all_estimators

    every = dict(all_estimators(type_filter=["classifier", "regressor"]))
    if class_name not in every:
        raise UproarError(
            unknown(
                class_name,
                every,
                "estimator of scikit-learn",
                listed="all classifiers and regressors of scikit-learn, by class",
            )
        )
    return every[class_name]


def _is_model(found: object) -> bool:
    from sklearn.base import ClassifierMixin, RegressorMixin

    return isinstance(found, type) and issubclass(found, ClassifierMixin | RegressorMixin)


def _of_boosted(package: str, class_name: str) -> Any:
    if class_name not in _BOOSTED[package]:
        raise UproarError(unknown(class_name, _BOOSTED[package], f"estimator of {package}"))
    try:
        return getattr(importlib.import_module(package), class_name)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UproarError(
            f'{package} is not installed; run: pip install "uproar[trees]"'
        ) from error
