"""The simulator: policies for your traffic on your engine, in seconds instead of hours."""
