"""Advice: what another policy would change for an operator's own traffic."""
