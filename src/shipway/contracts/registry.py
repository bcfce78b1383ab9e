"""Which contracts exist: capability and version to the request and result they are checked by."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from shipway.contracts.deploy import DeployRequest, DeployResult
from shipway.contracts.e2e import E2eRequest, E2eResult
from shipway.contracts.implement import ImplementRequest, ImplementResult
from shipway.contracts.integrate import IntegrateRequest, IntegrateResult
from shipway.contracts.plan import PlanRequest, PlanResult
from shipway.contracts.scaffold import ScaffoldRequest, ScaffoldResult
from shipway.contracts.validate import ValidateRequest, ValidateResult
from shipway.contracts.versions import Edition, History


@dataclass(frozen=True, slots=True)
class Contract:
    """The request and the result of one capability at one version; ``gates`` it may report on."""

    capability: str
    version: int
    request: type[BaseModel]
    result: type[BaseModel]
    gates: tuple[str, ...] = ()
    versions: History | None = None

    @property
    def history(self) -> History:
        """The versions that are understood; only this one where there is no other yet."""
        if self.versions is not None:
            return self.versions
        return History(self.capability, Edition(self.version, self.request, self.result))


#: The gates of `shipway check` that stand in its catalogue.
JUDGES = (
    "scope", "file-size", "message", "complexity", "dead-code", "licences", "advisories", "build",
    "lint", "pylint", "hooks", "secrets", "security", "types", "tests", "proof", "tamper", "holdout",
    "coverage", "mutants",
)  # fmt: skip

CONTRACTS: dict[str, Contract] = {
    contract.capability: contract
    for contract in (
        Contract("plan", 1, PlanRequest, PlanResult),
        Contract("scaffold", 1, ScaffoldRequest, ScaffoldResult),
        Contract("implement", 1, ImplementRequest, ImplementResult),
        Contract(
            "validate",
            1,
            ValidateRequest,
            ValidateResult,
            JUDGES,
        ),
        Contract("e2e", 1, E2eRequest, E2eResult, ("api", "acceptance")),
        Contract("integrate", 1, IntegrateRequest, IntegrateResult, ("tests",)),
        Contract("deploy", 1, DeployRequest, DeployResult),
    )
}
