"""Plans who may call: schemes with configured secrets; what needs a login server is asked about."""

from __future__ import annotations

from collections.abc import Mapping

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.contracts.envelope import Question
from shipway.contracts.service_plan import SecurityScheme
from shipway.errors import UsageError
from shipway.specs.document import Document, Node, Operation
from shipway.specs.names import Names, column, words

WEEK = 7 * 86400.0
_ASKED = frozenset({"oauth2", "openIdConnect"})


class Security:
    """The schemes of a document that its operations use, as far as they can be checked here."""

    def __init__(
        self, document: Document, package: str, answers: Mapping[str, str], doubts: Doubts
    ) -> None:
        self._document = document
        self._package = package
        self._answers = answers
        self._doubts = doubts
        self._attributes = Names()
        self._schemes: dict[str, SecurityScheme] = {}
        self._reasons: dict[str, str] = {}
        self.questions: list[Question] = []
        components = document.root.get("components")
        schemes = components.get("securitySchemes") if components else None
        used = set(self._used())
        for name, node in schemes.members() if schemes else ():
            if name in used:
                self._add(name, document.resolve(node))

    def schemes(self) -> list[SecurityScheme]:
        return list(self._schemes.values())

    def of(self, operation: Operation) -> list[list[str]]:
        """Alternatives for an operation; raises NotPlannable when none of them can be checked."""
        said = self._required(operation)
        possible, reasons = [], []
        for alternative in said:
            unknown = [name for name in alternative if name not in self._schemes]
            if not unknown:
                possible.append(alternative)
            reasons += [self._reasons.get(name, f"{name!r} is not described") for name in unknown]
        if said and not possible:
            raise NotPlannable(f"who may call it cannot be checked: {reasons[0]}")
        if reasons:
            self._doubts.note(
                operation.name,
                f"One of the ways to prove who calls cannot be checked: {reasons[0]}. And then?",
                "Only the other ways are accepted.",
            )
        return possible

    def _required(self, operation: Operation) -> list[list[str]]:
        said = operation.node.value.get("security", self._document.data.get("security"))
        return [list(alternative) for alternative in said or []]

    def _used(self) -> list[str]:
        return [
            name
            for operation in self._document.operations
            for alternative in self._required(operation)
            for name in alternative
        ]

    def _add(self, name: str, node: Node) -> None:
        kind, scheme = node.text("type"), node.text("scheme").lower()
        if kind == "apiKey":
            self._keep(name, "api_key", node.text("in"), node.text("name"))
        elif kind == "http" and scheme in {"basic", "bearer"}:
            self._keep(name, scheme, "header", "Authorization")
        elif kind in _ASKED:
            self._ask(name, node)
        else:
            self._reasons[name] = f"{name!r} is of kind {kind} {scheme}".rstrip()

    def _keep(self, name: str, kind: str, location: str, header: str) -> None:
        self._schemes[name] = SecurityScheme.model_validate(
            {
                "id": name, "attr": self._attributes.unique(column(name)), "kind": kind,
                "location": location, "name": header, "setting": self._setting(name),
            }
        )  # fmt: skip

    def _setting(self, name: str) -> str:
        own = "_".join(words(name)).upper() or column(name).upper()
        taken = {one.setting for one in self._schemes.values()}
        setting = f"{self._package.upper()}_{own}"
        while setting in taken:
            setting += "_2"
        return setting

    def _ask(self, name: str, node: Node) -> None:
        question = Question(
            id=f"security.{name}",
            text=f"The scheme {name!r} ({node.text('type')}) needs a login server, which is not "
            "part of the service. How shall its operations be protected?",
            options=["bearer", "unimplemented"],
            default="unimplemented",
            deadline_s=WEEK,
            why="bearer: a caller must send one of the configured secrets as bearer token; scopes "
            "are not looked at. unimplemented: these operations answer 501.",
        )
        chosen = self._answers.get(question.id)
        if chosen is None:
            self.questions.append(question)
        elif chosen == "bearer":
            self._keep(name, "bearer", "header", "Authorization")
            self._doubts.note(
                node.pointer, f"How is {name!r} checked without a login server?",
                "As a person answered: a configured bearer secret; scopes are not looked at.",
            )  # fmt: skip
        elif chosen == "unimplemented":
            self._reasons[name] = f"{name!r} needs a login server"
        else:
            raise UsageError(
                f"the answer to {question.id} is none of its options",
                hint=f"Answer one of: {', '.join(question.options)}.",
            )
