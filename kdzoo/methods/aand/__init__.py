"""Anomaly Amplification and Normality Distillation (Tang et al., arXiv 2405.02068, IEEE TIP 2026)."""
