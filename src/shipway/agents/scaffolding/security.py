"""Who may call what: the schemes of the document and a named guard for each demand."""

from __future__ import annotations

from typing import Any

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.layout import Call, Part, lay
from shipway.agents.scaffolding.names import Names
from shipway.contracts.service_plan import OperationPlan, SecurityScheme


class Security:
    """The guards that operations need; each distinct demand is one constant."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.guards: dict[tuple[tuple[str, ...], ...], str] = {}
        for operation in names.plan.operations:
            self.guard(operation)

    def guard(self, operation: OperationPlan) -> str | None:
        """The constant to depend on; None for an operation that is open to everybody."""
        demand = tuple(tuple(one) for one in operation.security)
        if not demand or () in demand:
            return None
        if demand not in self.guards:
            schemes = ["_and_".join(self.names.schemes[one] for one in group) for group in demand]
            name = ("needs_" + "_or_".join(schemes))[:60].upper()
            self.guards[demand] = words.unused(name, set(self.guards.values()))
        return self.guards[demand]

    def view(self) -> dict[str, Any]:
        used = {one for demand in self.guards for group in demand for one in group}
        schemes = [one for one in self.names.plan.security_schemes if one.id in used]
        return {
            "schemes": [self._scheme(one) for one in schemes],
            "guards": [self._guard(demand, name) for demand, name in self.guards.items()],
            "kinds": sorted({one.kind for one in schemes}),
        }

    def passes(self) -> dict[str, Any]:
        """For tests: what a request carries to pass each guard, by its first alternative."""
        by_id = {one.id: one for one in self.names.plan.security_schemes}
        guards: list[Part] = []
        used: list[SecurityScheme] = []
        for demand, name in self.guards.items():
            places: dict[str, list[Part]] = {}
            for one in demand[0]:
                used.append(by_id[one])
                place, pair = self._carried(by_id[one])
                places.setdefault(place, []).append(pair)
            inner: list[Part] = [
                Call(f'"{place}": {{', pairs, "}") for place, pairs in places.items()
            ]
            guards.append(Call(f"{words.literal(name)}: {{", inner, "}"))
        head = "PASSES: dict[str, dict[str, dict[str, str]]] = {"
        return {
            "source": lay(Call(head, guards, "}")),
            "basic": any(one.kind == "basic" for one in used),
        }

    def _carried(self, scheme: SecurityScheme) -> tuple[str, str]:
        constant = self.names.schemes[scheme.id].upper()
        if scheme.kind == "basic":
            coded = f'"Basic " + base64.b64encode({constant}.encode()).decode()'
            return "headers", f'"Authorization": {coded}'
        if scheme.kind == "bearer":
            return "headers", f'"Authorization": f"Bearer {{{constant}}}"'
        places = {"header": "headers", "query": "params", "cookie": "cookies"}
        return places[scheme.location], f"{words.literal(scheme.name)}: {constant}"

    def _scheme(self, scheme: SecurityScheme) -> dict[str, Any]:
        places = {"header": "headers", "query": "query_params", "cookie": "cookies"}
        place = places[scheme.location]
        about = {
            "api_key": f"{scheme.id}: {article(scheme.location)} named {scheme.name}.",
            "basic": f"{scheme.id}: user and password (HTTP Basic).",
            "bearer": f"{scheme.id}: a bearer token.",
        }[scheme.kind]
        name = scheme.name.lower() if scheme.location == "header" else scheme.name
        sources: dict[str, Part] = {
            "api_key": Call(f"request.{place}.get(", [words.literal(name)], ")"),
            "basic": "_basic(request)",
            "bearer": "_bearer(request)",
        }
        given = sources[scheme.kind]
        attr = self.names.schemes[scheme.id]
        returned = Call("return _known(", [given, f"settings.{attr}"], ")")
        return {
            "attr": attr,
            "doc": words.docstring(words.plain(about), 4),
            "returns": lay(returned, 4),
            "setting": scheme.setting,
            "read": lay(_reading(attr, scheme.setting), 12, 1),
            "kind": scheme.kind,
            "location": scheme.location,
            "wire": words.literal(scheme.name),
        }

    def _guard(self, demand: tuple[tuple[str, ...], ...], name: str) -> str:
        parts: list[Part] = []
        for group in demand:
            names = [self.names.schemes[one] for one in group]
            parts.append(f"({', '.join(names)}{',' if len(names) == 1 else ''})")
        parts.append(f"challenge={words.literal(self._challenge(demand))}")
        inner = Call("require(", parts, ")")
        return lay(Call(f"{name} = Depends(", [inner], ")"))

    def _challenge(self, demand: tuple[tuple[str, ...], ...]) -> str:
        by_id = {one.id: one for one in self.names.plan.security_schemes}
        said = {"api_key": "ApiKey", "basic": 'Basic realm="service"', "bearer": "Bearer"}
        found = [said[by_id[one].kind] for group in demand for one in group]
        return ", ".join(dict.fromkeys(found))


def _reading(attr: str, setting: str) -> Call:
    return Call(f"{attr}=_secrets(", ["environment", words.literal(setting)], ")")


def article(noun: str) -> str:
    """a header, a query parameter, a cookie"""
    return {"header": "a header", "query": "a query parameter", "cookie": "a cookie"}[noun]
