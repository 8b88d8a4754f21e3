"""Build the networks: generators, discriminators, encoders, layers."""

__all__ = ["discriminators", "encoders", "generators", "layers"]
