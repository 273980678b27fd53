"""What the documentation says of `evaluation:`, against the declaration."""

import re
from pathlib import Path

import yaml

from ml.declaration.evaluation import EvaluationPlan

DOCS = Path(__file__).parents[2] / "docs"


def test_every_field_is_documented_with_its_default() -> None:
    section = (DOCS / "use_case.md").read_text().partition("## The report")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| .* \| (.*?) \|$", section, re.M)

    told = {
        name: default
        for names, defaults in rows
        for name, default in zip(re.findall(r"`(\w+)`", names), defaults.split(", "), strict=True)
    }

    said = {None: "`f1`"}
    expected = {
        name: (field.default_factory and "none") or said.get(field.default, str(field.default))
        for name, field in EvaluationPlan.model_fields.items()
    }
    assert told == expected


def test_the_pieces_of_declarations_are_valid() -> None:
    text = (DOCS / "evaluation.md").read_text()

    block = re.search(r"```yaml\n(.*?)```", text, re.S)
    assert block is not None
    EvaluationPlan.model_validate(yaml.safe_load(block[1])["evaluation"])
    for objective in re.findall(r"^\| `(.+?)`(?: \(default\))? \| the (?:greatest|least)", text, re.M):
        EvaluationPlan.model_validate({"threshold": yaml.safe_load(objective)})
    for name, value in re.findall(r"`(\w+): ([\d.]+)`", text):
        if name in EvaluationPlan.model_fields:
            assert EvaluationPlan.model_fields[name].default == float(value)
