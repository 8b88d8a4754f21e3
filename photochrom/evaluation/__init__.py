"""Measure models: scores, intervals, protocols, and how steady film is."""

__all__ = ["features", "goals", "guidance", "invariance", "metrics", "photographs", "protocols", "scores", "video"]
