"""Prepare photographs and read training crops from them."""
