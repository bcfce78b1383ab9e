"""Doorbells: who waits for news is woken early; nothing that must not be lost ever travels here."""

from shipway.bus.doorbell import Bus, Listener, Ring

__all__ = ["Bus", "Listener", "Ring"]
