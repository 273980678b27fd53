"""Check the words of the code: variables are named after what they hold, docstrings say what is done.

Run by `make lint`. A pronoun as a whole name, such as `each`, says nothing of what it holds; a docstring that
begins with a question word is a riddle. Prints every place that is to be mended.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("assets", "dagster_project", "ml", "resources", "service", "sextant")
PRONOUNS = {"each", "found", "given", "asked", "known", "made", "said", "own", "told", "kept", "held"}
QUESTIONS = ("What", "Whether", "How", "Which", "Where", "Who")
MOST = 0.005  # the share of pronouns among all names


def main(packages: tuple[str, ...] = PACKAGES) -> int:
    """Print the pronouns and riddles of some packages, and return 1 if there are too many."""
    names, pronouns, riddles = 0, list[str](), list[str]()
    for path in sorted(file for package in packages for file in (ROOT / package).rglob("*.py")):
        tree, where = ast.parse(path.read_text()), path.relative_to(ROOT)
        for name, line in _names(tree):
            names += 1
            pronouns += [f"{where}:{line} {name}"] if name in PRONOUNS else []
        riddles += [f"{where}:{line} {text}" for line, text in _riddles(tree)]
    share = len(pronouns) / max(names, 1)
    print(*(pronouns if share > MOST else []), *riddles, sep="\n")
    print(f"{len(pronouns)} of {names} names are pronouns ({share:.2%}, allowed: {MOST:.1%}); {len(riddles)} riddles")
    return 1 if share > MOST or riddles else 0


def _names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every variable, argument, function and class that is bound or read, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno


def _riddles(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the first lines of docstrings that begin with a question word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if text.split(" ")[0].rstrip(",:") in QUESTIONS:
                yield getattr(node, "lineno", 1), text.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or PACKAGES))
