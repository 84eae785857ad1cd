"""Slices (SCLS, arXiv 2406.13511) on a continuous-batching engine, unseen by its clients."""
