"""What tokens of a model cost, in millionths of a dollar: as configured, else as published."""

from __future__ import annotations

import math
from collections.abc import Callable

from shipway.config import Settings
from shipway.errors import ConfigurationError

MILLION = 1_000_000

Price = Callable[[int, int], int]
"""From tokens read and tokens written to millionths of a dollar, rounded up."""


def price_of(model: str, settings: Settings) -> Price:
    """Raises ConfigurationError when nobody knows what the model costs: no cap could hold."""
    reads, writes = settings.model_price_in, settings.model_price_out
    if reads is not None and writes is not None:
        # Dollars for a million tokens are millionths of a dollar for one.
        return lambda read, written: math.ceil(read * reads + written * writes)
    return _published(model)


def _published(model: str) -> Price:
    from genai_prices import Usage, calc_price

    def price(read: int, written: int) -> int:
        total = calc_price(Usage(input_tokens=read, output_tokens=written), model).total_price
        return math.ceil(total * MILLION)

    try:
        price(1, 1)
    except LookupError:
        raise ConfigurationError(
            "it is not known what this model costs, so no budget could be kept",
            hint="set SHIPWAY_MODEL_PRICE_IN and SHIPWAY_MODEL_PRICE_OUT (dollars for a million tokens)",
        ) from None
    return price
