"""Counters of what a running engine spends and does."""
