"""Runs: those that the command and the Dagster UI start, started from Python and recorded as they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from sextant.errors import NotFound, RunFailed
from sextant.places import prepared
from sextant.show import card, markdown_card, text_card

Job = Literal["retrain", "score", "production"]


class Run:
    """A run that has ended. `refused` are the gates that kept its candidate from becoming the champion, if any."""

    def __init__(
        self, use_case: str, job: str, id: str, champion: str | None, verdicts: Sequence[Mapping[str, Any]], home: Path
    ) -> None:
        self.use_case, self.job, self.id, self.champion, self.home = use_case, job, id, champion, home
        self.verdicts = list(verdicts)

    @property
    def refused(self) -> list[str]:
        """The gates that refused the candidate."""
        return [str(verdict["gate"]) for verdict in self.verdicts if not verdict["passed"]]

    @property
    def _title(self) -> str:
        return f"{self.job} of {self.use_case}: {'refused by ' + ', '.join(self.refused) if self.refused else 'done'}"

    @property
    def _lines(self) -> dict[str, object]:
        reasons = {str(verdict["gate"]): verdict["reason"] for verdict in self.verdicts if not verdict["passed"]}
        champion = f"version {self.champion}" if self.champion else "none"
        return {"champion": champion, "Dagster run": self.id, **reasons}

    def __repr__(self) -> str:
        """Return it as text."""
        return text_card(self._title, self._lines, f"in {self.home}")

    def _repr_html_(self) -> str:
        return card(self._title, self._lines, f"in {self.home}")

    def _repr_markdown_(self) -> str:
        return markdown_card(self._title, self._lines, f"in {self.home}")


def materialize(use_case: str, *, job: Job = "retrain") -> Run:
    """Run a job of a use case to its end, in a process of its own, and print its steps; what is unchanged is reused.

    It is the run of `sextant demo` and of the Dagster UI, recorded in the same place: from the source tables to a
    verified Bento, unless another `job` is named. Raises NotFound for a use case that is not declared, and RunFailed,
    with the log, for a run that fails otherwise than by the refusal of a gate.
    """
    import click

    if job not in get_args(Job):
        raise NotFound(f"there is no job {job!r}; there are {', '.join(get_args(Job))}")
    with prepared() as home:
        from dagster_project.runs.launch import check_declaration, check_name, execute
        from resources.ledger import Ledger
        from resources.tracking.runs import tracking
        from sextant.missing import reason

        try:
            check_name(use_case)
        except click.ClickException as error:
            raise NotFound(reason(f"{use_case}/", Ledger()) or error.message) from None
        try:
            outcome = execute(use_case, job, meanwhile=lambda: check_declaration(use_case))
        except click.ClickException as error:
            raise RunFailed(error.message) from None
        if not outcome.succeeded and outcome.refusal is None:
            raise RunFailed(f"the run of {use_case} failed; its log is {outcome.log}")
        verdicts = outcome.refusal.verdicts if outcome.refusal else []
        return Run(use_case, job, outcome.run_id, tracking().version(use_case, "champion"), verdicts, home)
