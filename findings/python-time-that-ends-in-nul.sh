#!/usr/bin/env bash
# A text with a NUL in it is a time to Python.
#
# Versions: Python 3.11.7.
# Expected: ValueError, as for any other character that is no part of an ISO 8601 time.
# Behaviour: the parser, in C, takes the NUL at the end of a component for the end of the text; what follows may be dropped.
# Seen: '2014-01-15T08:30:00\0' and '2014-01-15T08:30:00.1234567\0zzz' are times, '2014-01-15T08:30:00x' is none.
set -euo pipefail
python3 - <<'PYTHON'
from datetime import datetime

time = datetime.fromisoformat("2014-01-15T08:30:00\0")
other = datetime.fromisoformat("2014-01-15T08:30:00.1234567\0zzz")
print(time, other)
assert time == datetime(2014, 1, 15, 8, 30) and other == datetime(2014, 1, 15, 8, 30, 0, 123456)
try:
    datetime.fromisoformat("2014-01-15T08:30:00x")
except ValueError as error:
    print(error)
else:
    raise AssertionError
PYTHON
