"""The network and the loss. Nothing here knows of files."""
