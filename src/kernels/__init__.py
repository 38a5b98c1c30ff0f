"""Operators in C++ for what takes nearly all of the time on a CPU, compiled on the user's machine at first use."""
