"""Asymmetric Distillation Post-Segmentation (Xing, Tang, Tang, Li, arXiv 2210.10495, TNNLS 2024)."""
