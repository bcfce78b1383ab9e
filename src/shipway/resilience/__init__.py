"""Resilience: what stands between Shipway and everything outside that may be slow, down or flooded."""
