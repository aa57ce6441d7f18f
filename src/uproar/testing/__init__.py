"""Conformance suites and toys with known answers, for our own tests and for those of plug-ins."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
