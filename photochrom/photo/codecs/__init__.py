"""Read and write each format."""
