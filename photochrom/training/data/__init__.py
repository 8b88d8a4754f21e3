"""Prepare photographs and read training crops from them."""

__all__ = ["dataset", "hint_sampling", "manifest", "prepare", "shards"]
