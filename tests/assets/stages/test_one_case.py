"""Inside an asset function there is one use case, that of the step: with the run's overrides and the parts it reads."""

import ast
from pathlib import Path

import pytest

STAGES = sorted((Path(__file__).parents[3] / "assets" / "stages").glob("*.py"))


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_an_asset_function_does_not_look_at_the_case_it_was_declared_by(path: Path) -> None:
    factories = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    inner = [
        (node, factory)
        for factory in factories
        for node in ast.walk(factory)
        if isinstance(node, ast.FunctionDef) and node is not factory and node.args.args[0].arg == "step"
    ]

    for node, factory in inner:
        arguments = {argument.arg for argument in factory.args.args} & {"case", "declared"}
        read = {name.id for statement in node.body for name in ast.walk(statement) if isinstance(name, ast.Name)}
        assert not arguments & read, f"{path.name}:{node.lineno} {node.name} reads {sorted(arguments & read)}"
