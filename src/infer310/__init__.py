"""From a checkpoint to the C++ program in ascend310_infer/: the exported file, its description, and test sets."""
