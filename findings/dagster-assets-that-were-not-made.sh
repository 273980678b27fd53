#!/usr/bin/env bash
# A Dagster multi-asset that yields the result of one of its two assets records both as materialized.
#
# Versions: Dagster 1.13.27, Python 3.11.
# Expected: as with `outs`, where an output that is not optional and is not yielded fails the step; or nothing for the other.
# Behaviour: for a multi-asset by `specs` that yields `MaterializeResult`s, every asset that is left out is materialized at
# the end of the step, without metadata. With `skippable=True` it is not.
# Seen: a and b materialized, though only a was yielded; with skippable=True only a.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  dagster==1.13.27 setuptools==80.10.2
venv/bin/python - <<'PYTHON'
import logging

import dagster as dg

logging.disable(logging.CRITICAL)


def materialized(skippable):
    @dg.multi_asset(specs=[dg.AssetSpec("a", skippable=skippable), dg.AssetSpec("b", skippable=skippable)])
    def both():
        yield dg.MaterializeResult(asset_key="a")

    with dg.instance_for_test() as instance:
        result = dg.materialize([both], instance=instance, raise_on_error=False)
        keys = [dg.AssetKey(name) for name in "ab"]
        return result.success, [key.to_user_string() for key in keys if instance.get_latest_materialization_event(key)]


plain, optional = materialized(False), materialized(True)
print(f"as it is: {plain}, skippable: {optional}")
assert plain == (True, ["a", "b"]), "assets that are not yielded changed"
assert optional == (True, ["a"]), "skippable changed"
PYTHON
