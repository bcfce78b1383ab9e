"""What callers send: strict shapes, in which nothing is coerced and nothing unknown is taken."""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shipway.contracts.model import Lasting, Model, Sha256
from shipway.store.listing import Sort

Item = TypeVar("Item")

#: No control characters but those of text; a lone surrogate never gets as far as here.
_NOT_TEXT = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_SPOKEN = rf"^[^{_NOT_TEXT}]*$"
_SAID = rf"^[^{_NOT_TEXT}]*[^\s{_NOT_TEXT}][^{_NOT_TEXT}]*$"

Line = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=200_000, pattern=_SPOKEN)]
Remark = Annotated[str, StringConstraints(max_length=2_000, pattern=_SPOKEN)]
#: One that says something: not blank.
Said = Annotated[str, StringConstraints(max_length=2_000, pattern=_SAID)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Place = Annotated[str, StringConstraints(max_length=1_024, pattern=r"^/[^\x00-\x1f\x7f]+$")]
Branch = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[^\x00]*$")]
FileName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,99}$", strip_whitespace=False)
]


def _digits(value: Any) -> Any:
    """Numbers in an address are digits: no sign, space, underscore or fraction."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("should be a whole number in digits")
    return value


def _whole(value: Any) -> Any:
    """In JSON, and in the documentation, 8080.0 is an integer; nothing else is taken for one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Put last, behind the bounds: what stands before it is what the documentation can tell.
IN_DIGITS = BeforeValidator(_digits)
WHOLE = BeforeValidator(_whole)
MOST = 999_999_999
Cursor = Annotated[str, StringConstraints(max_length=600, pattern=r"^[A-Za-z0-9_-]+$")]


class Question(BaseModel):
    """The part of an address after the question mark; unknown names are refused there too."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Paged(Question):
    limit: Annotated[int, Field(ge=1, le=200, description="at most so many"), IN_DIGITS] = 50
    cursor: Cursor | None = Field(default=None, description="next_cursor of the page before")


class Page(Model, Generic[Item]):
    """Part of a list; ``next_cursor`` leads to what follows and is null on the last page."""

    items: list[Item]
    next_cursor: str | None


class Text(Lasting):
    """Written out here."""

    text: Prose


class Uploaded(Lasting):
    """What was sent to /api/v1/uploads before."""

    upload: Sha256


Content = Text | Uploaded


Made = Annotated[list[Word], Field(min_length=1, max_length=200)]
Answers = Annotated[
    dict[Name, Line],
    Field(max_length=100, json_schema_extra={"additionalProperties": False}),
]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}$")]


class Source(Lasting):
    """Who makes a change: one of these."""

    command: Made | None = Field(default=None, description="a command that makes the change")
    acp: Made | None = Field(default=None, description="starts a coding agent that speaks ACP")
    model: ModelName | None = Field(default=None, description="a language model that makes it")


Fallbacks = Annotated[
    list[Source],
    Field(max_length=7, description="who takes over, in this order, when one failed for good"),
]


class NewRun(Source):
    """What is to be run: a document that becomes a service, or a change to a repository."""

    kind: Literal["specification", "change"]
    requirement: Content
    requirement_name: FileName = "requirement.md"
    title: Line | None = None
    claim: Literal["fix", "feature", "refactor", "chore"] | None = None
    repository: Place | None = Field(
        default=None, description="of a change: the repository; of a service: where to make it"
    )
    pipeline: Name | None = None
    target: Branch | None = None
    strategy: Literal["merge", "squash", "rebase", "fast-forward"] | None = None
    patch: Content | None = None
    fallbacks: Fallbacks = Field(default_factory=list)
    port: Annotated[int, Field(ge=0, le=65_535), WHOLE] = 0
    accept_unimplemented: bool = False
    answers: Answers = Field(default_factory=dict)


class Because(Lasting):
    """Why it is done; kept with the run."""

    reason: Remark = ""


class Paused(Because):
    """``grace``: seconds that what is in hand has to finish before it is handed back."""

    grace: Annotated[float, Field(ge=0, le=3_600)] = 0.0


class Again(Because):
    """From which stage on; without one, what failed or was cancelled."""

    stage: Name | None = None


class Rewound(Because, Source):
    """The stage to go back to, and what is different from now on; what is left out stays."""

    stage: Name
    requirement: Content | None = None
    requirement_name: FileName = "requirement.md"
    patch: Content | None = None
    fallbacks: Fallbacks = Field(default_factory=list)
    claim: Literal["fix", "feature", "refactor", "chore"] | None = None
    strategy: Literal["merge", "squash", "rebase", "fast-forward"] | None = None
    port: Annotated[int, Field(ge=0, le=65_535), WHOLE] | None = None
    answers: Answers = Field(default_factory=dict)


class Reasoned(Lasting):
    """Why it is done: this one has to be said."""

    reason: Said


class Letters(Lasting):
    """Which dead letters, and why."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]], Field(min_length=1, max_length=500)
    ]
    reason: Said


class LetterQuestion(Question):
    """Which dead letters; ``after`` is the number that the page before ended with."""

    state: Literal["dead", "replayed", "discarded", "any"] = "dead"
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,40}$")] | None = None
    run: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,40}$")] | None = None
    stage: Name | None = None
    capability: Name | None = None
    after: Annotated[int, Field(ge=0, le=MOST), IN_DIGITS] = 0
    limit: Annotated[int, Field(ge=1, le=500), IN_DIGITS] = 100


class ReleaseQuestion(Paged):
    """Which releases."""

    service: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] | None = None
    run: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$")] | None = (
        None
    )
    state: list[Literal["starting", "live", "standby", "failed", "stopped", "rolled_back"]] = Field(
        default_factory=list, max_length=6
    )


class Choice(Lasting):
    """A decision. With ``subject`` it counts only if what is decided is still that."""

    choice: Name
    comment: Remark | None = None
    subject: Sha256 | None = None


class Reply(Lasting):
    """The answer to a clarification."""

    value: Prose


class Stored(Lasting):
    """What became of an upload: its digest is how it is named from now on."""

    sha256: Sha256
    size: int
    media_type: str


class RunQuestion(Paged):
    """Which runs, in which order."""

    state: list[
        Literal[
            "queued",
            "running",
            "waiting",
            "paused",
            "succeeded",
            "failed",
            "cancelled",
            "quarantined",
        ]
    ] = Field(default_factory=list, max_length=8)
    pipeline: Name | None = None
    text: Annotated[Line, Field(max_length=100)] | None = Field(
        default=None, description="part of the title, or the number"
    )
    sort: Literal["newest", "oldest", "last-ended", "first-ended"] = "newest"


SORTS: dict[str, Sort] = {
    "newest": "newest",
    "oldest": "oldest",
    "last-ended": "last ended",
    "first-ended": "first ended",
}


class EventQuestion(Question):
    after: Annotated[int, Field(ge=0, le=MOST), IN_DIGITS] = 0
    limit: Annotated[int, Field(ge=1, le=1_000), IN_DIGITS] = 200


class LogQuestion(Question):
    stage: Name | None = None
    attempt: Annotated[int, Field(ge=1, le=MOST), IN_DIGITS] | None = None
