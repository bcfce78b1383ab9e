"""Hand-out over PostgreSQL: orders wake workers in other processes, on any machine of the fleet."""
