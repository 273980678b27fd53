#!/usr/bin/env bash
# `pytest.mark.xdist_group` has no effect: `--dist loadgroup` runs the tests of one group in different processes.
#
# Versions: pytest 9.2.0, pytest-xdist 3.8.0, Python 3.11.
# Expected: as documented, tests of one group run in the same worker, with "@group" behind their names.
# Behaviour: xdist adds the group to an attribute of the test that this pytest does not read any more. No error, no
# warning; `--dist loadfile`, which reads the file's name, holds.
# Seen: two tests of one group run in two workers, under names without "@shared"; with loadfile in one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  pytest==9.2.0 pytest-xdist==3.8.0
cat > test_group.py <<'PYTHON'
import time
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.xdist_group("shared")
def test_writes_its_worker(number, worker_id):
    Path(f"worker.{number}").write_text(worker_id)
    time.sleep(1)
PYTHON
workers() { cat worker.0 <(echo) worker.1 <(echo) | sort -u | wc -l; }
venv/bin/python -m pytest -v -n 2 --dist loadgroup test_group.py > names
grep -q "2 passed" names
by_group=$(workers)
venv/bin/python -m pytest -q -n 2 --dist loadfile test_group.py | grep "2 passed"
by_file=$(workers)
echo "workers of one group: $by_group, of one file: $by_file; names with a group: $(grep -c "@shared" names || true)"
[ "$by_group" = 2 ] && [ "$by_file" = 1 ] && ! grep -q "@shared" names || { echo "groups changed"; exit 1; }
