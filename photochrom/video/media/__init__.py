"""Read, encode and write film with PyAV: frames, streams, time stamps, color spaces."""

__all__ = ["colorspace", "decode", "encode", "mux", "timestamps", "truncation"]
