"""Guest models, networks that were trained elsewhere: what goes in and out of them, and the ONNX file around them."""

__all__ = ["convert", "kinds", "onnx_file", "session", "spec"]
