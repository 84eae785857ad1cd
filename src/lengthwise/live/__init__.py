"""What an engine is doing and why, for people: decisions, and the state of its requests."""
