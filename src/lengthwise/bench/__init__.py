"""Serve the same prompts under several policies on the real engine, and compare."""
