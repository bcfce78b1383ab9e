"""Which failures make a dead letter: orders that somebody has to look at, not changes refused."""

from __future__ import annotations

from shipway.domain.run.events import AttemptFailed
from shipway.errors import RETRYABLE, Category, EndlessError, PoisonError

_DEADLY = frozenset({PoisonError.code, EndlessError.code})


def is_dead(event: AttemptFailed) -> bool:
    """Whether nobody could do the order: all attempts used up, poison, or a fault of ours.

    A gate that fails, a refused decision or a change that does not fit is an answer, and no
    dead letter.
    """
    if event.retry_at is not None:
        return False
    category, code = event.error.get("category"), event.error.get("code")
    return category in RETRYABLE or category == Category.INTERNAL or code in _DEADLY
