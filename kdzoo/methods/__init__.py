"""The methods: one folder each, behind one contract (`base`), listed in `registry`."""
