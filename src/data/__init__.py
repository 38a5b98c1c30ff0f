"""From audio files to batches. Nothing here knows of the network."""
