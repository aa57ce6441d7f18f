"""Cells, their store, and the workers that compute them: knows no machine learning."""
