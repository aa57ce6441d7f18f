"""Scores to verdicts: gains, resampling, intervals, Holm, leaks, agreement."""
