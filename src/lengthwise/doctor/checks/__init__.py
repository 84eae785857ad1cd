"""The checks, one a file, all of one shape."""
