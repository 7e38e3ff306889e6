"""Decisions: pure functions from what is so and what is asked to what follows. No I/O."""
