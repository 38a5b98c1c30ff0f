"""The product's network and loss a second time, in PyTorch, and what both are compared on."""
