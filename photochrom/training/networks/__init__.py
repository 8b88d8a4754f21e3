"""Build the networks: generators, discriminators, encoders, layers."""
