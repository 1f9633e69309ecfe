"""Reverse Distillation (Deng & Li, CVPR 2022, arXiv 2201.10703): the baseline of the other three."""
