"""Prediction in a process of its own, and learning while serving.

Nothing here imports vLLM: the engine talks to :class:`lengthwise.online.client.Client`,
which talks to the process that ``service.py`` runs.
"""
