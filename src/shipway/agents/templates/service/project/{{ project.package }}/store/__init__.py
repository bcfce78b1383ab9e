"""Rows in the database, one module per entity."""
