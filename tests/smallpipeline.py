"""The small pipeline that tests run when only runs as such matter: plan and implement, nothing more."""

from __future__ import annotations

_TEXT = """\
name: small
version: 1
title: Plan and implement, nothing more
takes: change
stages:
  - id: plan
    capability: plan
    agent: repository
    inputs:
      requirement: run.requirement
      kind: run.kind
      claim: run.claim
      base: run.base
      target: run.target
      answers: run.answers
  - id: implement
    capability: implement
    needs: [plan]
    retries: {retries: 0}
{asks}    inputs:
      plan: plan.plan
      requirement: run.requirement
      base: run.base
      change: run.change
"""
_ASKS = """\
    asks:
      - id: go
        question: Shall it be done?
        subject: [plan.digest]
        options: [approve, reject]
        accept: approve
        default: reject
        deadline: 1d
"""

SMALL = _TEXT.replace("{asks}", "")
#: The same, and a person decides before anything is changed.
ASKING = _TEXT.replace("{asks}", _ASKS)
