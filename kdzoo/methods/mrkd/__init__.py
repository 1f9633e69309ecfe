"""Masked Reverse Knowledge Distillation (Jiang, Cao & Shen, arXiv 2512.15326)."""
