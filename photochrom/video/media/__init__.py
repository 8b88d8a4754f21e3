"""Read, encode and write film with PyAV: frames, streams, time stamps, color spaces."""
