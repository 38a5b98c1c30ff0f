"""Faults done to real training runs."""
