"""The flags that Shipway itself asks for: what holds until somebody says otherwise."""

from __future__ import annotations

from datetime import date

from shipway.flags.flag import Flag, Serve, boolean

PARALLELISM = "engine.parallelism"
MUTANTS = "gates.mutants"
PROOF = "gates.proof"

_UNTIL = date(2027, 6, 30)

KNOWN: dict[str, Flag] = {
    flag.key: flag
    for flag in (
        Flag(
            key=PARALLELISM,
            about="how many of the attempts that SHIPWAY_MAX_ATTEMPTS_AT_ONCE allows may work now",
            owner="operations",
            expires=_UNTIL,
            variants={"full": 100, "half": 50, "one": 1},
            default="full",
            serve=Serve(variant="full"),
            unit="environment",
            salt=PARALLELISM,
        ),
        boolean(
            MUTANTS,
            "whether shipway check plants small faults to see if tests notice; off is recorded",
            "gates",
            _UNTIL,
            on=True,
            unit="repository",
        ),
        boolean(
            PROOF,
            "whether shipway check asks a fix or a feature for a test that fails without it; off is"
            " recorded",
            "gates",
            _UNTIL,
            on=True,
            unit="repository",
        ),
    )
}
"""Gates are on unless somebody said otherwise: a place of flags that is lost switches none off."""
