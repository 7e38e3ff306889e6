"""Values: what the broker talks about. No I/O, no decisions."""
