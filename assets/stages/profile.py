"""The profile of the examples, before any model."""

import json

import dagster as dg
import pyarrow as pa

from assets import reads
from assets.framework.asset import asset
from assets.framework.case import Case
from assets.framework.recipe import Showing
from assets.framework.step import Step
from assets.stages.inputs import raw_tables
from ml.profile.profile import make_profile
from ml.profile.record import Profile
from ml.provenance.stamp import stamp_json
from ml.report.page import without_nan
from ml.report.plots.profiles import pictures
from ml.report.profile import html, in_short


def profile(case: Case) -> dg.AssetsDefinition:
    """Return the asset `profile`."""
    tables = {case.spec.examples.table, *(link.parent for link in case.spec.lookups)}
    ins = {"examples": "examples", **{f"raw_{table}": f"raw/{table}" for table in sorted(tables)}}
    showing = Showing(_show, reads.PROFILE_PAGE, ("ml.report.profile", "ml.report.plots.profiles"))

    @asset(
        case,
        "profile",
        stage="data",
        kinds={"scikitlearn"},
        reads=reads.PROFILE,
        ins=ins,
        showing=showing,
        early=True,  # who looks before training does not want to wait for models
    )
    def profile(step: Step, examples: pa.Table, **tables: pa.Table) -> Profile:
        """A look at the examples and their columns before any model: what to look at first, and a page."""
        made = make_profile(step.case.spec, raw_tables(tables), examples)
        return made.model_copy(update={"coordinates": step.coordinates.id})

    return profile


def _show(step: Step, profile: Profile) -> None:
    """Show a profile in Dagster and MLflow: the page, its numbers as JSON, its figures, and the columns in short."""
    case = step.case
    page = html(case.name, case.spec.description, profile, step.coordinates.summary()).encode()
    report = step.storage.save(f"{case.name}/profile_page", page, ".html")
    step.labels["report"] = report.path
    numbers = stamp_json(without_nan(profile.model_dump(mode="json")), step.coordinates.id)
    step.run.file("profile.html", page)
    step.run.file("profile.json", json.dumps(numbers, indent=1).encode())
    in_mlflow = step.run.link("profile.html")
    step.show(report=dg.MetadataValue.url(in_mlflow), report_file=dg.MetadataValue.path(step.storage.uri(report)))
    findings = "\n".join(f"{place}. {' '.join(text.split())}" for place, text in enumerate(profile.findings, 1))
    step.show(what_to_look_at=dg.MetadataValue.md(findings or "Nothing stands out."))
    step.show(columns=len(profile.columns), columns_in_short=dg.MetadataValue.md(in_short(profile)))
    for name, png in pictures(profile, step.coordinates.id).items():
        step.figure(name, png)
