"""Pipelines: YAML read into the domain's graph with every fault named, stored, and drawn."""
