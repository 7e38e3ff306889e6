"""Benchmarks of the broker beside named peers; see README.md in this folder."""
