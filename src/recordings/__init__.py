"""Recordings from and to the disk: what can be separated, how it is streamed, where the tracks go."""
