"""The OpenAPI document and the application, held against each other by requests that nobody has thought of."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.http.app import Application
from service.http.served import Served
from tests.service.conftest import PLAN
from tests.support.applications import started

# A schema cannot say all that a record is refused for, such as a day that no calendar has; and a time has the format
# of OpenAPI's registry, which is told how to be made here.
HOOKS = """
import datetime as dt
import schemathesis
from hypothesis import strategies as st

times = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
schemathesis.openapi.format("date-time-local", times.map(lambda time: time.isoformat()))
"""

CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 413, 415, 422]  # 413: a list of more entries than the schema allows

[[operations]]
include-name = "POST /events"
checks.positive_data_acceptance.enabled = false  # numbers too large to be summed by the table's own query are refused

[[operations]]
include-name-regex = "POST /(predict_batch|invocations|v2/.*/infer)"
checks.positive_data_acceptance.enabled = false  # no schema says which bytes are a table, or how long a tensor is
"""


@pytest.mark.slow
def test_schemathesis_finds_nothing(write_bundle: Any, tmp_path: Path) -> None:
    plan = copy.deepcopy(PLAN)
    plan["lookups"]["origin"]["since"] = "1800-01-01T00:00:00"  # a cutoff before is refused, which no schema says
    served = Served()
    served.load(write_bundle(plan))
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "schemathesis.cli", "run", "--max-examples", "30", "--seed", "1", "--no-color"]

    with started(Application(served)) as url:
        run = subprocess.run(
            [*command, f"{url}/openapi.json"],
            capture_output=True,
            text=True,
            env={"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
        )

    assert run.returncode == 0, run.stdout
