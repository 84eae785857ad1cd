"""Length predictors: from the prompt, from hidden states, from an oracle."""
