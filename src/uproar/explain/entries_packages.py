"""Explainers of other packages: Captum, SHAP and LIME."""

from __future__ import annotations

from uproar.types import Entry

PACKAGES: tuple[Entry, ...] = ()
