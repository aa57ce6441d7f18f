"""Outcomes to tables, conclusions, files and the content of the page; imports no torch."""
