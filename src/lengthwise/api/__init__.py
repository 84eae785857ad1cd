"""What ``import lengthwise`` offers beyond the parts: a simulation in a call, a regressor."""
