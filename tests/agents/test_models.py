"""Changes made by a language model and by a coding agent over ACP: files, money, and what goes wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from scripted_model import calls, model_server, says

from gitcalls import git
from shipway.agents.agent import Failed
from shipway.agents.implement import Implement
from shipway.config import Settings
from shipway.contracts.implement import ImplementRequest
from shipway.contracts.plan import ChangeSource
from shipway.engine.budgets import Budgets
from shipway.engine.places import Places
from shipway.errors import AgentProtocolError, BudgetError, CircuitOpenError, ConfigurationError
from shipway.resilience.breaker import State
from shipway.resilience.ports import standing
from shipway.secrets import Secret
from shipway.store import ledger
from shipway.store.ledger import NewRun
from shipway.store.opening import prepare
from shipway.workspace.fence import Fence
from shipway.workspace.git import Hub

FILES = {"greet.py": "def greet():\n    return 'hello'\n", "README.md": "Greets.\n"}
BETTER = "def greet(name):\n    return f'hello {name}'\n"
EDIT = (
    "edit_file",
    {"path": "greet.py", "old": "def greet():\n    return 'hello'\n", "new": BETTER},
)
RUN = "run-7"
#: What the scripted model costs: a dollar for a million tokens, so that a token is a millionth.
PRICES = {"model_price_in": 1.0, "model_price_out": 1.0}


@pytest.fixture(autouse=True)
def _anew():
    """What one test's server did wrong is not held against the next one's, nor seen in the metrics."""
    yield
    standing("model").breaker.switch(State.CLOSED)
    standing.cache_clear()


@pytest.fixture
def database(home):
    """A database with the one run that spends."""
    found = prepare(Places(home).database)
    row = NewRun(RUN, "running", "d", "t", "t", b"{}", b"{}", None, 0.0, "change", 0)
    with found.writing() as connection:
        ledger.insert_pipelines(connection, [("d", "change", 1, b"{}")])
        ledger.insert_runs(connection, [row])
    yield found
    found.close()


class Bench:
    def __init__(self, git_repository, make_desk, artifacts, database, home):
        self.repository = git_repository(FILES)
        self.base = git(self.repository, "rev-parse", "HEAD")
        self._make_desk, self._artifacts, self._database = make_desk, artifacts, database
        self._home = home
        self.said = []
        self.budget = None

    def perform(self, change, dollars=1.0, **options):
        cancel = options.pop("cancel", threading.Event())
        settings = Settings(home=self._home, **{**PRICES, **options})
        put = self._artifacts.put
        request = ImplementRequest(
            plan=put(
                b'{"name": "Greeter", "title": "Greet", "claim": "feature"}', "plan.json", "a/b"
            ),
            requirement=put(b"Greet by name, please.\n", "requirement.md", "text/markdown"),
            base=self.base,
            change=change,
        )
        given = {"settings": settings, "say": self.said.append, "run": RUN, "cancel": cancel}
        desk = self._make_desk("implement", request, **given)
        self.budget = Budgets(self._database, dollars).of(desk.task)
        desk = self._make_desk("implement", request, **given, budget=self.budget)
        self.hub = Hub(desk.hub) if desk.hub.exists() else Hub.create(desk.hub)
        self.hub.seed(self.repository, self.base)
        return Implement(Fence("strict", hidden=(desk.home,))).perform(request, desk)

    def model(self, url, **options):
        return self.perform(ChangeSource(kind="model", model="scripted"), model_url=url, **options)

    def acp(self, script, **options):
        """An agent that is part of the repository, so that the fence shows it."""
        source = f"{ACP_START}\n{textwrap.indent(textwrap.dedent(script), ' ' * 8)}\n{ACP_END}"
        (self.repository / "coder.py").write_text(source)
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", "an agent")
        self.base = git(self.repository, "rev-parse", "HEAD")
        command = [sys.executable, "coder.py"]
        return self.perform(ChangeSource(kind="acp", command=command), **options)


@pytest.fixture
def bench(git_repository, make_desk, artifacts, database, home):
    return Bench(git_repository, make_desk, artifacts, database, home)


# -- a language model -------------------------------------------------------------------------


def test_a_model_edits_files_and_what_it_used_is_written_down(bench):
    look = calls(("list_files", {}), ("read_file", {"path": "greet.py"}))
    with model_server(look, calls(EDIT), says("It greets by name now.")) as server:
        result = bench.model(server.url, model_key=Secret("sk-very-secret"))
    assert bench.hub.show(result.commit, "greet.py").decode() == BETTER
    assert (result.files, result.usage.requests) == (1, 3)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (250, 50)
    assert result.usage.cost_usd == pytest.approx(300e-6)
    assert bench.budget.left() == 1_000_000 - 300
    assert "wrote greet.py" in bench.said
    first, second, _ = server.asked
    assert "Greet by name, please." in json.dumps(first["messages"])
    assert "return 'hello'" in second["messages"][-1]["content"]
    assert {tool["function"]["name"] for tool in first["tools"]} == {
        "list_files",
        "read_file",
        "write_file",
        "edit_file",
    }


@pytest.mark.parametrize(
    "path", ["../outside.py", "/etc/passwd", ".git/config", "link/x.py", ".GIT/hooks/post-commit"]
)
def test_no_path_of_a_model_leaves_the_project(bench, path, tmp_path):
    (bench.repository / "link").symlink_to(tmp_path)
    git(bench.repository, "add", "--all")
    git(bench.repository, "commit", "--quiet", "--message", "a way out")
    bench.base = git(bench.repository, "rev-parse", "HEAD")
    before = sorted(tmp_path.rglob("*.py"))
    bad = calls(("write_file", {"path": path, "content": "x = 1\n"}))
    with model_server(bad, calls(EDIT), says("done")) as server:
        result = bench.model(server.url)
    answer = server.asked[1]["messages"][-1]["content"]
    assert "leads out" in answer or "not to be touched" in answer or "relative" in answer
    assert result.files == 1
    assert [place for place in sorted(tmp_path.rglob("x.py")) if place not in before] == []


def test_a_request_that_the_budget_does_not_cover_is_never_sent(bench):
    with model_server(says("never asked")) as server, pytest.raises(Failed) as caught:
        bench.model(server.url, dollars=0.001)
    assert caught.value.report.code == "BUDGET"
    assert "SHIPWAY_RUN_BUDGET" in caught.value.report.hint
    assert server.asked == []
    assert bench.budget.left() == 1000


def test_the_budget_ends_a_conversation_between_two_requests(bench):
    """The first request is covered; what it used leaves too little for the second."""
    greedy = calls(("list_files", {}), read=1_500_000, written=0)
    with model_server(greedy, says("never")) as server, pytest.raises(Failed) as caught:
        bench.model(server.url, dollars=1.5, model_answer_tokens=64)
    assert caught.value.report.code == "BUDGET"
    assert len(server.asked) == 1
    assert bench.budget.left() == 0


DIES = """
import sys
from pathlib import Path
from shipway.agents.agent import Desk
from shipway.contracts.envelope import Task
from shipway.engine.budgets import Budgets
from shipway.store.opening import prepare
task = Task(capability="implement", version=1, run="run-7", stage="implement", attempt=1, token=1,
            agent="x", key="k", traceparent="t", deadline=None, request={})
Budgets(prepare(Path(sys.argv[1])), 1.0).of(task).reserve("scripted", 600_000)
print("reserved", flush=True)
sys.stdin.read()
"""


def test_what_was_reserved_when_a_process_was_killed_counts_as_spent(bench, database, home):
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(Places(home).database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"reserved\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with model_server(calls(EDIT), says("done")) as server:
        bench.model(server.url)
    assert bench.budget.left() == 400_000 - 180
    with pytest.raises(BudgetError):
        bench.budget.reserve("scripted", 400_000)


@pytest.mark.parametrize(
    ("status", "category"), [(500, "transient"), (429, "throttled"), (401, "permanent")]
)
def test_what_the_server_answers_decides_whether_trying_again_may_help(bench, status, category):
    with model_server(status) as server, pytest.raises(Failed) as caught:
        bench.model(server.url)
    assert (caught.value.report.category, len(server.asked)) == (category, 1)
    # It may have been paid for: what nobody knows counts.
    assert bench.budget.left() < 1_000_000


@pytest.mark.parametrize(("status", "sent"), [(503, 10), (401, 11)])
def test_a_model_that_is_ill_is_left_alone_by_every_attempt_and_one_that_refuses_is_not(
    bench, status, sent
):
    with model_server(*[status] * 11) as server:
        for _ in range(10):
            with pytest.raises(Failed):
                bench.model(server.url)
        left = bench.budget.left()
        with pytest.raises((CircuitOpenError, Failed)) as caught:
            bench.model(server.url)
    assert len(server.asked) == sent
    if isinstance(caught.value, CircuitOpenError):
        assert 0 < caught.value.retry_after <= 60
        assert bench.budget.left() == left, "what was not sent costs nothing"


def test_a_server_that_is_not_there_is_transient(bench):
    with model_server() as server:
        gone = server.url
    with pytest.raises(Failed) as caught:
        bench.model(gone)
    assert caught.value.report.category == "transient"


def test_a_cancelled_attempt_ends_at_once(bench):
    cancel, hanging = threading.Event(), threading.Event()

    def hang():
        cancel.set()
        hanging.wait(30)

    with model_server(hang) as server:
        began = time.monotonic()
        with pytest.raises(Failed) as caught:
            bench.model(server.url, cancel=cancel)
        hanging.set()
    assert caught.value.report.category == "cancelled"
    assert time.monotonic() - began < 10


def test_without_an_endpoint_or_a_price_nothing_is_asked(bench):
    with pytest.raises(ConfigurationError, match="no language model is configured"):
        bench.model(None)
    with (
        model_server(says("never")) as server,
        pytest.raises(ConfigurationError, match="what this model costs"),
    ):
        bench.model(server.url, model_price_in=None)
    assert server.asked == []


# -- a coding agent over ACP --------------------------------------------------------------------

ACP_START = """
import acp, asyncio, sys
from acp.schema import Cost, PermissionOption, ToolCallUpdate, Usage, UsageUpdate

class Coder:
    def on_connect(self, client):
        self.client = client

    async def initialize(self, protocol_version, **_):
        return acp.InitializeResponse(protocol_version=protocol_version)

    async def new_session(self, cwd, **_):
        self.cwd = cwd
        return acp.NewSessionResponse(session_id="one")

    async def prompt(self, prompt, session_id, **_):
        client, cwd = self.client, self.cwd
"""
ACP_END = """
asyncio.run(acp.run_agent(Coder()))
"""
WRITES = """
assert "Greet by name" in prompt[0].text
options = [PermissionOption(option_id="yes", name="Allow", kind="allow_once")]
call = ToolCallUpdate(tool_call_id="c1", title="write greet.py")
answer = await client.request_permission(session_id="one", tool_call=call, options=options)
assert answer.outcome.option_id == "yes"
await client.write_text_file(session_id="one", path=cwd + "/greet.py", content="x = 1\\n")
await client.session_update("one", UsageUpdate(
    session_update="usage_update", used=10, size=100, cost=Cost(amount=0.25, currency="USD")))
used = Usage(total_tokens=30, input_tokens=20, output_tokens=10)
return acp.PromptResponse(stop_reason="end_turn", usage=used)
"""


def test_an_agent_that_speaks_acp_makes_the_change_inside_the_fence(bench):
    result = bench.acp(WRITES)
    assert bench.hub.show(result.commit, "greet.py") == b"x = 1\n"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (20, 10)
    assert result.usage.cost_usd == pytest.approx(0.25)
    assert bench.budget.left() == 750_000
    assert "wrote greet.py" in bench.said


def test_an_agent_that_costs_too_much_is_stopped(bench):
    wait = WRITES.replace("used = ", "await asyncio.sleep(60)\nused = ")
    began = time.monotonic()
    with pytest.raises(BudgetError, match="above the run's budget"):
        bench.acp(wait, dollars=0.2)
    assert time.monotonic() - began < 30
    assert bench.budget.left() == 0


def test_without_a_budget_no_agent_is_started(bench):
    with pytest.raises(BudgetError, match="nothing is left"):
        bench.acp(WRITES, dollars=0)
    assert bench.said == []


def test_an_agent_that_ends_its_turn_otherwise_has_not_finished(bench):
    refuses = "return acp.PromptResponse(stop_reason='refusal')"
    with pytest.raises(AgentProtocolError, match="refusal"):
        bench.acp(refuses)
    assert bench.budget.left() == 1_000_000


def test_a_command_that_prints_rubbish_is_told_from_an_agent(bench):
    command = [sys.executable, "-c", "print('hello'); print('{\"event\": \"end\"}')"]
    with pytest.raises(AgentProtocolError):
        bench.perform(ChangeSource(kind="acp", command=command))


def test_an_agent_cannot_write_outside(bench, tmp_path):
    outside = tmp_path / "outside.txt"
    script = f"""
    try:
        await client.write_text_file(session_id="one", path={str(outside)!r}, content="x")
    except acp.RequestError:
        pass
    try:
        open({str(outside)!r}, "w").write("x")
    except OSError:
        pass
    open("greet.py", "w").write("y = 2\\n")
    return acp.PromptResponse(stop_reason="end_turn")
    """
    result = bench.acp(script)
    assert bench.hub.show(result.commit, "greet.py") == b"y = 2\n"
    assert not outside.exists()
    assert result.usage.cost_usd is None
