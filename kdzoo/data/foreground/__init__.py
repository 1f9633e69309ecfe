"""Where on an image anomalies may be planted."""
