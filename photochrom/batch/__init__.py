"""Color many photographs: what to do, what was done, and the doing of it."""

__all__ = ["cloud", "join", "remote", "run"]
