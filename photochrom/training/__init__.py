"""Train conditional GANs that color photographs; the only folder that imports torch."""

__all__ = ["config", "data", "export", "launch", "log", "loop", "networks", "regularizers", "setup"]
