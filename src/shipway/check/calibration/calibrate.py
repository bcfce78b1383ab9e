"""`shipway calibrate` as a function: every variant of every case judged once, and counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from shipway.check.calibration import table
from shipway.check.calibration.book import Book
from shipway.check.calibration.manifest import Case, Corpus, chosen
from shipway.check.calibration.trial import Ready, judge, prepare, ready
from shipway.check.calibration.variants import VARIANTS
from shipway.check.check import machine
from shipway.check.equipment import Ears, Equipment
from shipway.check.memory import key
from shipway.contracts.calibration import CalibrationReport, Trial
from shipway.errors import NotFoundError, ShipwayError
from shipway.specs.placed.faults import did_you_mean
from shipway.store.artifacts import ArtifactStore


@dataclass(frozen=True, slots=True)
class Wish:
    """Which part of a corpus to judge, how many checks at once, and whether from the beginning."""

    cases: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    at_once: int = 1
    again: bool = False
    only_known: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears how it goes: how many trials there are, and each as it ends with its number."""

    begun: Callable[[int, int], None] = lambda _known, _whole: None
    judged: Callable[[Trial, int, int], None] = lambda _trial, _number, _whole: None
    cancel: threading.Event = field(default_factory=threading.Event)


def calibrate(
    corpus: Corpus, wish: Wish, equipment: Equipment, listener: Listener | None = None
) -> CalibrationReport:
    """Judge what was not judged before, and count everything.

    Ends early with what is known when ``listener.cancel`` is set or KeyboardInterrupt is raised;
    the next call goes on. Raises NotFoundError for cases and variants that are not there, and
    ConflictError while another process works on the same corpus.
    """
    listener = listener or Listener()
    cases = chosen(corpus, wish.cases)
    _refuse_unknown(wish.variants)
    with Book(equipment.place / "calibrations" / key(str(corpus.path))[:16]) as book:
        return _Calibration(corpus, cases, wish, equipment, listener, book).run()


def _refuse_unknown(names: Sequence[str]) -> None:
    for name in names:
        if name not in VARIANTS:
            raise NotFoundError(f"there is no variant {name}", hint=did_you_mean(name, VARIANTS))


class _Calibration:
    def __init__(
        self, corpus: Corpus, cases: tuple[Case, ...], wish: Wish, equipment: Equipment,
        listener: Listener, book: Book,
    ) -> None:  # fmt: skip
        self.corpus = corpus
        self.cases = cases
        self.wish = wish
        self.listener = listener
        self.book = book
        self.work = book.work()
        self.equipment = replace(
            equipment,
            place=self.work / "checks",
            shelf=ArtifactStore(self.work / "logs"),
            at_once=1,
        )
        self.trials: list[Trial] = []
        self.absent = 0
        self.whole = 0

    def run(self) -> CalibrationReport:
        missing = self._missing()
        self.listener.begun(len(self.trials), self.whole)
        if not self.wish.only_known:
            self._judge(missing)
        left = self.whole - len(self.trials)
        return table.report(self.corpus, self.cases, self.trials, (left, self.absent), machine())

    def _missing(self) -> list[Ready]:
        """What is to be judged; what was judged under the same key is taken as it is."""
        known = {} if self.wish.again else self.book.trials()
        missing = []
        for number, case in enumerate(self.cases):
            names = self.wish.variants or case.variants or tuple(VARIANTS)
            try:
                prepared = prepare(case, self.work / f"ground-{number}")
            except (ShipwayError, OSError) as error:
                self.whole += 1
                self._take(
                    Trial(case=case.id, variant="gold", key="", outcome=None, why=str(error))
                )
                continue
            for name in names:
                one = ready(prepared, VARIANTS[name], self.equipment)
                if one is None:
                    self.absent += 1
                    continue
                self.whole += 1
                if one.key in known:
                    self.trials.append(known[one.key])
                else:
                    missing.append(one)
        return missing

    def _judge(self, missing: list[Ready]) -> None:
        """A few at once; the good change of a case goes first and builds its environment."""
        order = sorted(missing, key=lambda one: list(VARIANTS).index(one.variant.name))
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self.wish.at_once, "trial"))
            ears = Ears(cancel=self.listener.cancel)
            waiting = iter(order)
            running: set[Future[Trial]] = set()
            try:
                while True:
                    while len(running) < self.wish.at_once and not ears.cancel.is_set():
                        one = next(waiting, None)
                        if one is None:
                            break
                        running.add(pool.submit(judge, one, self.equipment, ears))
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for ended in done:
                        self._ended(ended)
            except BaseException:
                ears.cancel.set()
                raise

    def _ended(self, ended: Future[Trial]) -> None:
        """A trial counts unless it was cut off."""
        trial = ended.result()
        if self.listener.cancel.is_set():
            return
        if trial.outcome is not None:  # what could not be judged may be the next time
            self.book.write(trial)
        self._take(trial)

    def _take(self, trial: Trial) -> None:
        self.trials.append(trial)
        self.listener.judged(trial, len(self.trials), self.whole)
