"""OpenFeature in front of our flags: the same evaluation for anybody who speaks its API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as Said
from openfeature.provider import AbstractProvider, Metadata

from shipway.flags.evaluate import Context
from shipway.flags.flags import Flags

DOMAIN = "shipway"
_T = TypeVar("_T")


def client(flags: Flags) -> OpenFeatureClient:
    """A client whose answers come from ``flags``; the targeting key is the user."""
    api.set_provider(Provider(flags), DOMAIN)
    return api.get_client(DOMAIN)


class Provider(AbstractProvider):
    """Answers from memory; says that something changed, or is stale, as OpenFeature wants it."""

    def __init__(self, flags: Flags) -> None:
        super().__init__()
        self._flags = flags
        flags.changed.append(self._tell)

    def get_metadata(self) -> Metadata:
        return Metadata(name="shipway")

    def shutdown(self) -> None:
        if self._tell in self._flags.changed:
            self._flags.changed.remove(self._tell)

    def _tell(self) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails())

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolved(flag_key, default_value, evaluation_context, _is_bool)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolved(flag_key, default_value, evaluation_context, _is_text)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolved(flag_key, default_value, evaluation_context, _is_whole)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._resolved(flag_key, default_value, evaluation_context, _is_number)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Our variants are booleans, numbers and texts: there is no flag of this kind."""
        return self._resolved(flag_key, default_value, evaluation_context, lambda _value: False)

    def _resolved(
        self,
        key: str,
        default: _T,
        context: EvaluationContext | None,
        fits: Callable[[Any], bool],
    ) -> FlagResolutionDetails[_T]:
        found = self._flags.evaluate(key, _context(context))
        if found.problem is not None:
            return _refused(default, ErrorCode.FLAG_NOT_FOUND, "there is no such flag")
        if not fits(found.value):
            return _refused(default, ErrorCode.TYPE_MISMATCH, "the flag is of another kind")
        value: Any = found.value
        reason = Said.STALE if self._flags.stale else Said(found.reason.value)
        return FlagResolutionDetails(value=value, variant=found.variant, reason=reason)


def _refused(default: _T, code: ErrorCode, message: str) -> FlagResolutionDetails[_T]:
    return FlagResolutionDetails(
        value=default, error_code=code, error_message=message, reason=Said.ERROR
    )


def _context(given: EvaluationContext | None) -> Context:
    if given is None:
        return Context()
    attributes = given.attributes
    roles = attributes.get("roles", attributes.get("role", ()))
    return Context(
        user=given.targeting_key or _text(attributes.get("user")),
        roles=(roles,) if isinstance(roles, str) else tuple(map(str, _many(roles))),
        repository=_text(attributes.get("repository")),
        environment=_text(attributes.get("environment")),
        run=_text(attributes.get("run")),
    )


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
