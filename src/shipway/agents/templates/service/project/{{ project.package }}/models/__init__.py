"""Bodies, answers and query strings, one module per entity."""
