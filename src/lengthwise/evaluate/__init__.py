"""The judge: every predictor on the same held-out prompts, with confidence intervals."""
