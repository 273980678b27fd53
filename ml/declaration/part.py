"""Pieces of a declaration: what every part of it has, and how a duration is written."""

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
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
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def is_duration(text: str) -> bool:
    """Whether a text is written as a duration, such as 3h."""
    return _DURATION.match(text) is not None


def _check_duration(text: str) -> str:
    duration(text)
    return text


Duration = Annotated[str, AfterValidator(_check_duration)]


class Part(BaseModel):
    """A piece of a declaration: immutable, strict about types, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
            name, allowed = str(error["loc"][0]), sorted(cls.model_fields)
            near = [f", did you mean {each!r}" for each in get_close_matches(name, allowed, n=1)]
            kind = "value_error"
            context = {"error": ValueError(f"unknown key {name!r}{''.join(near)}; allowed: {', '.join(allowed)}")}
        return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)
