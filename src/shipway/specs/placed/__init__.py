"""YAML whose every key and value knows its place, read field by field, with all faults at once."""
