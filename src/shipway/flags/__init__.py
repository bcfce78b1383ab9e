"""Feature flags: who gets what of a change that is already installed, decided while it runs."""
