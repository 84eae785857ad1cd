"""Collected answers: their files on disk, and the arrays that training reads."""
