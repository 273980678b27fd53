"""Reports: the page on an evaluation, and its figures in short."""

from pathlib import Path, PurePosixPath
from typing import Any

from sextant.errors import NotFound
from sextant.places import prepared
from sextant.show import text_card


class Report:
    """The report on an evaluation: `html` is the whole page, `evaluation` the numbers."""

    def __init__(self, name: str, evaluation: Any, path: str, home: Path) -> None:
        self.name, self.evaluation, self.home, self._path = name, evaluation, home, path

    @property
    def html(self) -> str:
        """The whole page."""
        with prepared(self.home):
            from resources.storage import File, storage

            digest = PurePosixPath(self._path).stem  # a page bears the hash of its bytes
            return bytes(storage().content(File(path=self._path, digest=digest, size=0))).decode()

    @property
    def file(self) -> str:
        """The path or URL of the page."""
        with prepared(self.home):
            from resources.storage import File, storage

            return storage().uri(File(path=self._path, digest="", size=0))

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics on the test rows."""
        return dict(self.evaluation.metrics)

    def __repr__(self) -> str:
        """Return the metrics as text."""
        lines = {name: f"{value:.4f}" for name, value in self.evaluation.labelled().items()}
        return text_card(f"report on {self.name}, {self.evaluation.rows:,} test rows", lines, self.file)

    def _repr_markdown_(self) -> str:
        from ml.report.page import in_short

        return f"**report on {self.name}**\n\n{in_short(self.evaluation, self._metric)}\n\n*{self.file}*"

    def _repr_html_(self) -> str:
        from html import escape

        from ml.report.page import estimate

        rows = "".join(
            f"<tr><td>{escape(self.evaluation.label(name))}</td><td>{estimate(value)}</td></tr>"
            for name, value in sorted(self.evaluation.intervals.items(), key=lambda entry: entry[0] != self._metric)
        )
        about = f"{self.evaluation.rows:,} test rows; the whole page is {escape(self.file)}"
        return f"<div><b>report on {escape(self.name)}</b><table>{rows}</table><small>{about}</small></div>"

    @property
    def _metric(self) -> str:
        return str(self.evaluation.reference.metric)


def report(use_case: str) -> Report:
    """Return the report on a use case's latest evaluation, or on that of a model such as `flight_delays@champion`.

    Raises NotFound, which says what there is, or what to run.
    """
    with prepared() as home:
        from sextant.results import record_of

        if "@" in use_case or ":" in use_case:
            return report_on(str(record_of(use_case)["id"]), use_case, home)
        name = use_case.removesuffix("/evaluation")
        return _report(record_of(f"{name}/evaluation"), name, home)


def report_on(model: str, name: str, home: Path) -> Report:
    """Return the report on the latest evaluation of the model of these coordinates; raise NotFound if there is none."""
    from resources.ledger import Ledger

    ledger = Ledger()
    evaluations = [
        identity
        for identity, record in ledger.dependents(model)  # of which some only compare another one with this
        if "report" in record["labels"] and record["data"]["onnx_model"]["coordinates"] == model
    ]
    if not evaluations:
        raise NotFound(f"{name} was never evaluated in {home}")
    return _report(ledger.get(evaluations[-1]), name, home)


def _report(record: dict[str, Any], name: str, home: Path) -> Report:
    from resources.ledger import Ledger
    from resources.storage import Stored, storage

    asset, path = str(record["run"]["asset"]), str(record["labels"]["report"])
    if Ledger().latest_of(asset) == record["id"]:
        path = next((file for file in Ledger().shown_of(asset) if file.endswith(".html")), path)
    return Report(name, storage().load(Stored(**record["result"])), path, home)
