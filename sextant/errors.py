"""Errors that say what there is, and what to do."""


class SextantError(Exception):
    """The base of the errors of this package."""


class NotFound(SextantError, LookupError):
    """There is no such use case, asset or version in this home, or it was not made yet; the message says what to do."""


class RunFailed(SextantError, RuntimeError):
    """A run ended before its end; the message names its log."""
