"""Sextant in Python: what the pipelines have made, the models to ask, and the runs that make them.

    import sextant

    matrix = sextant.load("flight_delays/features/development")
    model = sextant.model("flight_delays@champion")
    model.predict(frame), model.explain(frame), model.report(), model.coordinates()
    sextant.materialize("flight_delays")

All of it is about the Sextant home that the command `sextant` would use from the same folder: $SEXTANT_HOME, or
`.sextant` in the working directory; `sextant.home()` says which. This package is a face: it computes nothing itself,
and to import it imports nothing heavy.
"""

from sextant.errors import NotFound, RunFailed, SextantError
from sextant.models import Explanation, Model, model
from sextant.places import home
from sextant.reports import Report, report
from sextant.results import Coordinates, coordinates, load
from sextant.runs import Run, materialize

__all__ = [
    "Coordinates",
    "Explanation",
    "Model",
    "NotFound",
    "Report",
    "Run",
    "RunFailed",
    "SextantError",
    "coordinates",
    "home",
    "load",
    "materialize",
    "model",
    "report",
]
