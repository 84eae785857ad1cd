"""Charts of requests and runs: one a file, each a function that returns a ``Chart``."""
