"""PyTorch's checkpoint files, read and written without PyTorch, and without running anything that they hold."""
