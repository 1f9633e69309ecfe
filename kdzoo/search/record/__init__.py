"""What a sweep remembers, in memory and in its folder. Knows no PyTorch, so that listing sweeps is quick."""
