"""Compare data sets, generators and regularizers: a grid of training runs, scored alike and reported on one page."""

__all__ = ["config", "estimate", "findings", "report", "results", "runner"]
