"""The sections of the page: a module each, beside the template of the same name, and a line here.

Modules without a template are parts of a section, and so are templates whose name begins with one.
"""

from __future__ import annotations

from uproar.report.section import Section
from uproar.report.sections import (
    agreement,
    cost,
    curves,
    function,
    gallery,
    header,
    leaderboard,
    leaks,
    methods,
    outcomes,
    reproduce,
)

SECTIONS = (
    Section("header", "", header.view),
    Section("leaderboard", "Leaderboard", leaderboard.view),
    Section("function", "Function", function.view),
    Section("curves", "Curves", curves.view),
    Section("leaks", "Leaks", leaks.view),
    Section("agreement", "Agreement", agreement.view),
    Section("cost", "Cost", cost.view),
    Section("gallery", "Gallery", gallery.view),
    Section("methods", "Methods", methods.view),
    Section("outcomes", "Not measured", outcomes.view),
    Section("reproduce", "Reproduce", reproduce.view),
)
