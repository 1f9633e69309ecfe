"""PatchCore (Roth et al., CVPR 2022, arXiv 2106.08265): a memory of normal patches, and the distance to the nearest."""
