"""What goes to and comes from ascend310_infer, the C++ program that runs an exported network."""
