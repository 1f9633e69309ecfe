"""Nearest neighbours of the teacher's features: the baseline that a trained method has to beat."""
