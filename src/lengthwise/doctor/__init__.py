"""What can be wrong before a server starts, and the command that mends it."""
