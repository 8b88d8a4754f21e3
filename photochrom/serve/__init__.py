"""Serve the colorizer: an HTTP API and a page for the browser."""

__all__ = ["app", "server", "settings"]
