"""Separation of overlapping speech: see README.md."""
