"""Synthetic anomalies, made a batch at a time on the device."""
