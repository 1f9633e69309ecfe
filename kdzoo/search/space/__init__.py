"""What may be searched: knobs, their ranges and conditions, read from YAML. Knows no Ray."""
