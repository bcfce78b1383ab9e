"""Tests of the service: through its own interface, on a database of their own."""
