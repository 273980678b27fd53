"""The syntax of a module: what it imports, and its text without words that are there to be read only."""

import ast
from collections.abc import Iterator

DESCRIBED = ("Field", "Metric")  # what these call the `description` of a part, editors show and no code reads


def imported(tree: ast.AST, module: str, path: str) -> Iterator[str]:
    """Yield what a module imports anywhere in it, except for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], node.module or ""]) if node.level else node.module
            yield from (f"{str(base).rstrip('.')}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imported(ast.Module(node.orelse, []), module, path)
        elif not isinstance(node, ast.expr):  # no expression has an import inside
            yield from imported(node, module, path)


def canonical(tree: ast.Module) -> str:
    """Return the syntax tree as text, without words that are there to be read only."""
    return ast.dump(_Wordless().visit(tree))


class _Wordless(ast.NodeTransformer):
    """Drops docstrings, other texts that stand alone, and what DESCRIBED calls say of what they make."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        match node.value:
            case ast.Constant(value=str()):
                return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Name(id=name) if name in DESCRIBED:
                node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)
