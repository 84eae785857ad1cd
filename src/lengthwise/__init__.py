"""Lengthwise: schedule LLM requests by how many tokens they still need."""

__version__ = "0.1.0"
