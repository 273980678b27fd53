#!/usr/bin/env bash
# SQLAlchemy 2.1 reads a `postgresql://` address as psycopg 3, while dagster-postgres installs psycopg2.
#
# Versions: SQLAlchemy 2.1.9, dagster-postgres 0.29.27, Python 3.11.
# Expected: what has worked since SQLAlchemy 1: `postgresql://` is psycopg2, and pip's resolution, which is clean, fits.
# Behaviour: the default driver of the dialect is "psycopg" now. An engine for the short address raises ModuleNotFoundError
# though a driver is installed; `postgresql+psycopg2://` works with both versions.
# Seen: ModuleNotFoundError: No module named 'psycopg'.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  sqlalchemy==2.1.9 dagster-postgres==0.29.27 dagster==1.13.27 setuptools==80.10.2
venv/bin/python - <<'PYTHON'
import importlib.util

import sqlalchemy

assert importlib.util.find_spec("psycopg2") and not importlib.util.find_spec("psycopg"), "other drivers are installed"
driver = sqlalchemy.make_url("postgresql://user@host/name").get_driver_name()
long = sqlalchemy.create_engine("postgresql+psycopg2://user@host/name")
try:
    sqlalchemy.create_engine("postgresql://user@host/name")
except ModuleNotFoundError as error:
    print(f"{driver}: {error}; spelled out: {long.dialect.driver}")
else:
    raise SystemExit("the short address works now")
assert driver == "psycopg" and long.dialect.driver == "psycopg2", "the default driver changed"
PYTHON
