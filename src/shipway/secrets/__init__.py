"""Secrets: a type that never prints them, and the masking that everything written passes."""

from shipway.secrets.redact import is_secret_name, redact, redact_value
from shipway.secrets.secret import MASK, Secret

__all__ = ["MASK", "Secret", "is_secret_name", "redact", "redact_value"]
