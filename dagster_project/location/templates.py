"""The one template of a declaration: `{{ env.NAME }}`, which stands for the text of an environment variable."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails

Place: TypeAlias = tuple[str | int, ...]
_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}", re.ASCII)
_IN_SCHEMA = {"type": "string", "pattern": r"\{\{\s*env\.[A-Za-z_][A-Za-z0-9_]*\s*\}\}"}
_ANNOTATIONS = ("title", "description", "default")
_INTENDED = re.compile(r"\{\{-?\s*env\b")  # what somebody wrote who meant a variable


def resolved(declared: Any, environment: Mapping[str, str]) -> Any:
    """Return a declaration with each `{{ env.NAME }}` in its texts replaced by the variable's value, a text as it is.

    Everything else stays what YAML made of it. Raises ValidationError, with the place of each, where a variable is not
    set, a template of another form begins with `{{ env`, or a key has one.
    """
    problems = [
        InitErrorDetails(type="value_error", loc=place, input=text, ctx={"error": ValueError(reason)})
        for place, text, is_key in _texts(declared, ())
        if (reason := _mistake(text, is_key, environment))
    ]
    if problems:
        raise ValidationError.from_exception_data("UseCase", problems)
    return _resolved(declared, environment)


def unresolved(error: ValidationError, declared: Any, environment: Mapping[str, str]) -> ValidationError:
    """Return the error about a resolved declaration as one that shows the templates: a value may be a password."""
    names = {name for _, text, _ in _texts(declared, ()) for name in _VARIABLE.findall(text)}
    values = {environment[name]: f"{{{{ env.{name} }}}}" for name in names if environment.get(name)}
    details = [_unresolved(mistake, declared, values) for mistake in error.errors()]
    return ValidationError.from_exception_data(error.title, details)


def with_variables(schema: Any) -> Any:
    """Return a JSON schema that takes `{{ env.NAME }}` too for each number, truth value and word that it asks for.

    An editor and `dg check yaml` see a declaration before its variables are replaced.
    """
    if isinstance(schema, list):
        return [with_variables(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if _takes_no_text(schema):
        annotations = {name: schema[name] for name in _ANNOTATIONS if name in schema}
        rest = {name: value for name, value in schema.items() if name not in annotations}
        return {**annotations, "if": _IN_SCHEMA, "else": rest}
    return {name: value if name == "default" else with_variables(value) for name, value in schema.items()}


def _takes_no_text(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    is_limited = isinstance(schema.get("pattern", schema.get("format")), str) and kind == "string"
    return kind in ("integer", "number", "boolean") or isinstance(schema.get("enum"), list) or is_limited


def _resolved(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: environment[match[1]], value)
    if isinstance(value, Mapping):
        return {name: _resolved(inner, environment) for name, inner in value.items()}
    return [_resolved(inner, environment) for inner in value] if isinstance(value, list) else value


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str, bool]]:
    """Yield each text with its place, and whether it is a key."""
    if isinstance(value, str):
        yield place, value, False
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(name, str):
                yield (*place, name), name, True
            yield from _texts(inner, (*place, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _texts(inner, (*place, position))


def _mistake(text: str, is_key: bool, environment: Mapping[str, str]) -> str | None:
    """Return what is wrong with the templates of a text."""
    if is_key:
        return (
            "a key has no {{ env.NAME }}: only a value comes from the environment" if _INTENDED.search(text) else None
        )
    names = _VARIABLE.findall(text)
    if unset := [name for name in dict.fromkeys(names) if name not in environment]:
        return f"the environment variable {', '.join(unset)} is not set; set it, or write its value here"
    if _INTENDED.search(_VARIABLE.sub("", text)):
        return "the only template is {{ env.NAME }}, an environment variable: no default, no filter, no call"
    if _INTENDED.search(_resolved(text, environment)):
        return f"the value of {', '.join(names)} has a {{{{ env… }}}} of its own, which nothing replaces; set another"
    return None


def _unresolved(mistake: ErrorDetails, declared: Any, values: Mapping[str, str]) -> InitErrorDetails:
    written = declared
    for step in mistake["loc"]:
        is_inside = (isinstance(written, Mapping) and step in written) or (
            isinstance(written, list) and isinstance(step, int) and step < len(written)
        )
        written = written[step] if is_inside else written
    context = dict(mistake.get("ctx", {}))
    if "error" in context:
        text = str(context["error"])
        for value, template in values.items():
            text = text.replace(value, template)
        context["error"] = ValueError(text)
    return InitErrorDetails(type=mistake["type"], loc=mistake["loc"], input=written, ctx=context)
