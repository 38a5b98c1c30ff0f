"""Speech of voices that no one has: what `python -m src.data.synthetic_voices` is made of."""
