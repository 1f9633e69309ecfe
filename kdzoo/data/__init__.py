"""Images in, batches out: catalog, readers, splits and protocols, decoded cache, foreground, synthetic anomalies."""
