"""Studies with the simulator: sweeps, fleets, replays of benches, its speed."""
