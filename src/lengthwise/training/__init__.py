"""Collecting answers from a served model and training predictors on them."""
