"""Pieces of a declaration: what every part of it has, and how a duration is written."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from ml.base.text import near

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=100_000)  # what 64 bits of nanoseconds hold, in round numbers
_DURATION = re.compile(r"^([1-9]\d*)([smhd])$")
# Whoever is named before the host, greedily, for a password may hold a slash; and every value after the question mark.
_USER, _VALUE = re.compile(r"(?<=://)[^?]*@"), re.compile(r"(?<==)[^&#]+")


def without_secrets(location: str) -> str:
    """A path or URL without user, password, token or signature: those are replaced by three stars."""
    base, mark, query = _USER.sub("***@", location).partition("?")
    return base + mark + (_VALUE.sub("***", query) if "://" in base else query)


def duration(text: str) -> timedelta:
    """`3h` is three hours; units are s (seconds), m (minutes), h (hours) and d (days)."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a whole number and s, m, h or d, such as 30m, 3h or 14d")
    if int(match[1]) * timedelta(**{_UNITS[match[2]]: 1}).total_seconds() > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than {LONGEST.days}d, which is the longest duration")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def is_duration(text: str) -> bool:
    """Return whether a text is written as a duration, such as 3h."""
    return _DURATION.match(text) is not None


def _check_duration(text: str) -> str:
    duration(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]


def unknown_key(name: str, allowed: Iterable[str]) -> ValueError:
    """Return the error about a key that is not allowed, with those that are and the one that was perhaps meant."""
    return ValueError(f"unknown key {name!r}{near(name, allowed)}; allowed: {', '.join(sorted(allowed))}")


class UnreadPartError(RuntimeError):
    """A part of a declaration was asked for by code that did not name it among what it reads."""


class Part(BaseModel):
    """A piece of a declaration: immutable, strict about types, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # or every attribute would seem to be there

        def __getattr__(self, name: str) -> Any:
            """Raise UnreadPartError for a field that this view of a declaration leaves out."""
            if name in type(self).model_fields:
                raise UnreadPartError(
                    f"{name!r} of {type(self).__name__} is read here and not named among the parts that are read; add "
                    "it in assets/reads.py, so that a change of it makes the result anew"
                )
            return super().__getattr__(name)

    @classmethod
    def of_parts(cls, values: Mapping[str, Any]) -> Self:
        """Return a declaration that has the fields of some JSON values alone, and the defaults of those that have one.

        The values are those of a declaration that was checked when it was made: how parts fit together is not checked.
        """
        part = cast(Self, cls.model_construct())  # which the plugin of mypy takes for this class alone
        vars(part).update({name: _of_parts(cls.model_fields[name].annotation, value) for name, value in values.items()})
        return part

    @model_validator(mode="wrap")
    @classmethod
    def _list_allowed_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            # A default that follows from a wrong field is no mistake of its own.
            own = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
            raise ValidationError.from_exception_data(cls.__name__, list(map(cls._explained, own))) from None

    @classmethod
    def _explained(cls, error: ErrorDetails) -> InitErrorDetails:
        """An unknown key of this model, with those that are allowed; any other error as it is."""
        kind, context = error["type"], error.get("ctx", {})
        if kind == "extra_forbidden" and len(error["loc"]) == 1:
            kind, context = "value_error", {"error": unknown_key(str(error["loc"][0]), cls.model_fields)}
        return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)


class OpenPart(Part, extra="allow"):
    """A part with keys beyond those of its fields, where it `takes` them; any other is a mistake at its place."""

    @classmethod
    def takes(cls, name: str) -> bool:
        """Return whether a key that is no field may be there."""
        raise NotImplementedError

    @model_validator(mode="wrap")
    @classmethod
    def _fields_or_taken(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        declared = values if isinstance(values, Mapping) else {}
        wrong = [name for name in declared if name not in cls.model_fields and not cls.takes(str(name))]
        if not wrong:
            return handler(values)
        errors: list[ErrorDetails] = []
        if rest := {name: value for name, value in declared.items() if name not in wrong}:
            try:
                handler(rest)
            except ValidationError as error:
                errors = error.errors()
        errors += [ErrorDetails(type="extra_forbidden", loc=(name,), msg="", input=declared[name]) for name in wrong]
        raise ValidationError.from_exception_data(cls.__name__, list(map(cls._explained, errors)))


def _of_parts(annotation: Any, value: Any) -> Any:
    """Return the value of a field of this type, of whose parts some may be missing."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation.of_parts(value)
    inner = get_args(annotation)[-1] if get_origin(annotation) is dict else None
    if isinstance(inner, type) and issubclass(inner, Part):
        return {name: inner.of_parts(part) for name, part in value.items()}
    return TypeAdapter(annotation).validate_python(value)
