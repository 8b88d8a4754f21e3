"""Measure models: scores, intervals, protocols, and how steady film is."""
