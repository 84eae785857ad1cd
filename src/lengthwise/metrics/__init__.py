"""What a running engine spends and does: counters, and Prometheus metrics with what shows them."""
