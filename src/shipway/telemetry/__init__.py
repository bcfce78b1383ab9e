"""Telemetry: log lines and trace context, the same for every room above."""
