"""Read, encode and write film with PyAV: frames, streams, time stamps, color spaces."""

__all__ = ["colorspace", "decode", "encode", "matroska", "mux", "probe", "streams", "timestamps", "truncation"]
