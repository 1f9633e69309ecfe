"""Pictures by formula, a whole batch at a time on the device: they fill synthetic anomalies and train teachers.

No file is read, so there is nothing to license and nothing to fetch.
"""

FORMULA = 2
"""Version of the formulas: another number makes other pictures from the same seed."""
