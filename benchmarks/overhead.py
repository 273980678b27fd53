"""The cost of Dagster: the same machine-learning functions as a plain script and as a Dagster run.

Both start from nothing and do everything from the source tables to the batch predictions; the Bento, whose build and
start are no machine learning, is left out. The plain script calls one function after the other in one process. Each
Dagster side is one executor, with its own SEXTANT_HOME. `ratio` is the time of the project's own executor over the
plain script's, in seconds on the clock; `cpu` is the same for processor time, which does not profit from two cores.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_project.definitions import CONFIGS, PINNED, PRELOAD, resources
from dagster_project.location.loading import load_use_cases

ROOT = Path(__file__).resolve().parent.parent
PR_SET_CHILD_SUBREAPER = 36
SIDES = ("plain", "chosen", "one_at_a_time", "in_process", "spawn", "bare_forkserver")


def with_executor(executor: Any) -> dg.Definitions:
    """Load every use case, under another executor."""
    return dg.Definitions.merge(load_use_cases(CONFIGS), dg.Definitions(resources=resources(), executor=executor))


def multiprocess(start_method: dict[str, Any], max_concurrent: int = 2) -> dg.Definitions:
    """Load every use case, with a process for each step."""
    options = {"max_concurrent": max_concurrent, "start_method": start_method}
    return with_executor(dg.multiprocess_executor.configured(options))


@dg.definitions
def one_at_a_time() -> dg.Definitions:
    return multiprocess({"forkserver": {"preload_modules": PRELOAD}}, max_concurrent=1)


@dg.definitions
def in_process() -> dg.Definitions:
    return with_executor(dg.in_process_executor)


@dg.definitions
def spawn() -> dg.Definitions:
    return multiprocess({"spawn": {}})


@dg.definitions
def bare_forkserver() -> dg.Definitions:
    return multiprocess({"forkserver": {}})


def main() -> None:
    """Print every side and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--use-case", default="flight_delays")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain(arguments.use_case)
        return
    adopt_orphans()
    sides = {}
    for side in arguments.sides:
        sides[side] = measured(command(side, arguments.use_case))
        print(f"{side:<16} {sides[side]['seconds']:7.1f} s {sides[side]['cpu_seconds']:7.1f} s of CPU", flush=True)
    ratios = {
        name: round(sides["chosen"][name] / sides["plain"][name], 3) if {"chosen", "plain"} <= set(sides) else None
        for name in ("seconds", "cpu_seconds")
    }
    result = {"name": f"overhead on {arguments.use_case}", "ratio": ratios["seconds"], "cpu": ratios["cpu_seconds"]}
    print(json.dumps({**result, "sides": sides}))


def adopt_orphans() -> None:
    """Adopt processes whose parent has ended, so that their processor time counts."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1):
        raise SystemExit("this system cannot adopt orphaned processes, so their CPU time cannot be counted")


def command(side: str, use_case: str) -> list[str]:
    """Return the command that runs a side."""
    if side == "plain":
        return [sys.executable, "-W", "ignore", __file__, "--plain", "--use-case", use_case]
    target = ("-m", "dagster_project.definitions") if side == "chosen" else ("-f", __file__, "-a", side)
    select = f'key:"{use_case}/*" and not key:"{use_case}/bento"'
    return [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", *target, "--select", select]


def measured(run: list[str]) -> dict[str, float]:
    """Return the seconds on the clock and of CPU, with a SEXTANT_HOME of its own."""
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([Path(sys.executable).parent / "sextant", "init"], cwd=home, env=environment(home), check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(run, cwd=ROOT, env=environment(home), capture_output=True, text=True)
        seconds = time.perf_counter() - started
        with suppress(ChildProcessError):
            while True:  # a forkserver outlives the run by a moment; its steps count once it has been waited for
                os.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}


def environment(home: str) -> dict[str, str]:
    """Return the settings of the environment, which are the same for every side."""
    return os.environ | PINNED | {"SEXTANT_HOME": home, "DAGSTER_HOME": f"{home}/dagster", "PYTHONPATH": str(ROOT)}


def plain(use_case: str) -> None:
    """Compute what the assets compute, as a script."""
    import json

    import yaml

    from assets.framework.case import Case
    from assets.stages.evaluation import evaluation_inputs
    from assets.stages.inputs import rows_to_score
    from assets.stages.model import training
    from assets.stages.onnx_model import reference
    from ml.base.hashing import canonical_json
    from ml.declaration.use_case import UseCaseSpec
    from ml.evaluation.evaluate import evaluate, explained
    from ml.evaluation.record import Evaluation
    from ml.examples.build import make_examples
    from ml.exported.model import COPIED, ExportedModel
    from ml.exported.onnx import export, measure_parity
    from ml.exported.reference import KEY as REFERENCE
    from ml.features.define import define_features
    from ml.features.matrix import feature_matrix
    from ml.gates.judge import judge
    from ml.report.page import html
    from ml.report.pictures import pictures
    from ml.search.leaderboard import rank
    from ml.search.tuning import tune
    from ml.tables.sources import load_table

    spec = UseCaseSpec.model_validate(yaml.safe_load((CONFIGS / use_case / "defs.yaml").read_text())["attributes"])
    tables = {name: load_table(use_case, name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    examples = make_examples(use_case, spec, tables).to_pandas()
    definitions = define_features(use_case, spec, tables)
    testing = examples["split"] == "test"
    development, test = (
        feature_matrix(spec, definitions, tables, examples[rows].reset_index(drop=True)) for rows in (~testing, testing)
    )
    models = {
        name: tune(name, training(development, definitions, spec.task), trials=declared.trials, seed=spec.seed,
                   metric=spec.metric, rows=declared.rows)
        for name, declared in spec.models.families.items()
    }  # fmt: skip
    best = models[rank({name: tuned.score for name, tuned in models.items()}, spec.metric).candidate]
    metadata = {
        "sextant.encoder": json.dumps(best.encoder.to_dict()),
        "sextant.definitions": definitions.model_dump_json(),
        "sextant.spec": canonical_json(COPIED.decide(spec.resolved())),
        REFERENCE: reference(spec, best, development).model_dump_json(),
    }
    content = export(best.model, best.encoder, metadata, best.task)
    rows = development[development["split"] == "validation"]
    measure_parity(best.model, best.encoder, content, rows).raise_for_drift()
    task, model = best.task, ExportedModel(content)
    y, scores = task.labels(test["target"]), model.scores(test)
    begun = Evaluation(
        model_hash=model.hash,
        family=best.family,
        rows=len(y),
        target=task.summary(test["target"]),
        metrics={},
    )
    measure_parity(best.model, best.encoder, content, test)
    inputs = evaluation_inputs(spec, model, test, tables, scores)
    explanations = explained(inputs)
    evaluation = evaluate(begun, inputs, explanations)
    drawn = pictures(evaluation, inputs, explanations, "0" * 16)
    html(use_case, spec, evaluation, judge(spec.gates, evaluation, spec.metric), drawn, {"id": "0" * 16})
    scored = rows_to_score(Case(use_case, spec), spec, tables)
    model.scores(model.features(tables, scored))


if __name__ == "__main__":
    main()
