"""Train conditional GANs that color photographs; the only folder that imports torch."""
