"""Evaluation of a batch by this process, or by workers of its own, which may die."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

from ml.base.files import scratch_folder
from ml.base.processes import tied
from ml.provenance.source import ROOT
from ml.search import worker as program
from ml.search.evaluator import Evaluator, Job, Outcome, save_parts

ATTEMPTS = 3  # a trial whose worker died so often fails
Run = Callable[[Sequence[Job]], Iterator[Outcome]]


@contextmanager
def evaluating(evaluator: Evaluator, workers: int, scratch: Path | None = None) -> Iterator[Run]:
    """Yield a function from a batch to its outcomes, in the order of their numbers, the same for any number of workers.

    With one worker it is this process that evaluates. `scratch` is the folder of the rows that several share, emptied
    first and removed last; a temporary one unless it is stated.
    """
    if workers == 1:
        yield lambda jobs: map(evaluator, jobs)
        return
    with scratch_folder() as temporary:
        folder = scratch or temporary
        shutil.rmtree(folder, ignore_errors=True)
        crew = _Crew(evaluator, workers, folder)
        try:
            save_parts(evaluator.parts, folder)
            yield crew.run
        finally:
            crew.dismiss()
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    channel: Connection
    job: Job | None = None

    def ended(self) -> str:
        """Wait for its end, and return how it ended."""
        code = self.process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class _Crew:
    """Worker processes; one that dies is replaced, and its trial evaluated again."""

    def __init__(self, evaluator: Evaluator, size: int, folder: Path) -> None:
        pickled = pickle.dumps((evaluator.fitter, evaluator.metric, evaluator.around))
        self._about = str(folder), evaluator.fitter.threads, pickled
        self.size, self.workers = size, list[_Worker]()

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Yield the worth of each job, in the order of the jobs, as soon as those before it are done."""
        waiting, done, deaths = list(jobs), dict[int, Outcome](), Counter[int]()
        for job in jobs:
            while job.number not in done:
                self._hand_out(waiting)
                for ended, answer in self._answers():
                    if isinstance(answer, Outcome):
                        done[ended.number] = answer
                        continue
                    deaths[ended.number] += 1
                    if deaths[ended.number] < ATTEMPTS:
                        waiting.insert(0, ended)
                    else:
                        reason = f"its worker died {ATTEMPTS} times, the last with {answer}"
                        done[ended.number] = Outcome(ended.number, "FAIL", reason=reason)
            yield done.pop(job.number)

    def _hand_out(self, waiting: list[Job]) -> None:
        """Give every idle worker a job, and start workers while there are jobs for them."""
        idle = [worker for worker in self.workers if worker.job is None]
        while waiting and (idle or len(self.workers) < self.size):
            worker = idle.pop(0) if idle else self._start()
            try:
                worker.channel.send(waiting[0])
            except (BrokenPipeError, ConnectionResetError):  # it died idle, which is no trial's fault
                self._bury(worker)
                continue
            worker.job = waiting.pop(0)

    def _answers(self) -> Iterator[tuple[Job, Outcome | str]]:
        """Wait for the busy workers, and yield jobs with their outcomes, or with how their worker ended."""
        busy = {worker.channel: worker for worker in self.workers if worker.job}
        for channel in wait(list(busy)):
            worker = busy[cast(Connection, channel)]
            job, worker.job = worker.job, None
            assert job is not None
            try:
                yield job, worker.channel.recv()
            except (EOFError, ConnectionResetError):
                yield job, self._bury(worker)

    def _start(self) -> _Worker:
        """Start a worker and tell it the problem."""
        ours, theirs = Pipe()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", program.__name__, str(theirs.fileno())]
        process = subprocess.Popen(tied(command), pass_fds=[theirs.fileno()], env={**os.environ, "PYTHONPATH": path})
        theirs.close()
        ours.send(self._about)
        self.workers.append(_Worker(process, ours))
        return self.workers[-1]

    def _bury(self, worker: _Worker) -> str:
        """Forget a worker that has ended, and return how it did."""
        self.workers.remove(worker)
        worker.channel.close()
        return worker.ended()

    def dismiss(self) -> None:
        """End all workers at once."""
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            self._bury(worker)
