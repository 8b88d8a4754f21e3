"""Read and write photographs: luma as stored, and all that travels with it."""
