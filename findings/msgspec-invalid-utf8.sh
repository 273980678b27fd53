#!/usr/bin/env bash
# msgspec reports bytes that are not UTF-8 by an exception that is none of its own.
#
# Versions: msgspec 0.22.0, Python 3.11.
# Expected: msgspec.DecodeError, as for any other input that is no JSON; its documentation names no other.
# Behaviour: where the bytes stand in a text it is UnicodeDecodeError, which `except msgspec.MsgspecError` lets through.
# A service that answers 400 to DecodeError answers 500 to a client that sends Latin-1.
# Seen: DecodeError for b'\xff', UnicodeDecodeError for b'{"name": "\xff"}', and for a key alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  msgspec==0.22.0
venv/bin/python - <<'PYTHON'
import msgspec


def raised(body: bytes) -> str:
    try:
        msgspec.json.decode(body)
    except Exception as error:
        return f"{type(error).__name__}, {'of msgspec' if isinstance(error, msgspec.MsgspecError) else 'of Python'}"
    return "nothing"


seen = {body: raised(body) for body in (b"\xff", b'{"name": "\xff"}', b'{"\xff": 1}', b'["caf\xe9"]')}
for body, error in seen.items():
    print(body, error)
assert seen.pop(b"\xff") == "DecodeError, of msgspec", "the error outside of a text changed"
assert set(seen.values()) == {"UnicodeDecodeError, of Python"}, "the error inside of a text changed"
PYTHON
