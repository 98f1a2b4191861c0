"""Straightforward implementations: what the benchmarks compare with, and are checked against."""
