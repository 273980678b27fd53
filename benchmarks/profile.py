"""The profile of flight_delays beside the page of ydata-profiling, of the same rows and columns.

ydata-profiling is installed into an environment of its own in a temporary folder, from the package registry, or is
taken from `--python`. Each side is a process of its own that reads its rows from Parquet and writes one HTML page; its
time is that of the whole process, imports included. `ratio` is our processor time over that of ydata-profiling's
ordinary page; its `minimal` page, without correlations, is measured too.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import yaml

from ml.declaration.use_case import UseCaseSpec

if __name__ == "profile":  # asked for by a library, from a script in this folder: the standard library's is meant
    globals().update(runpy.run_path(f"{sysconfig.get_path('stdlib')}/profile.py", run_name="profile"))

ROOT, USE_CASE = Path(__file__).resolve().parents[1], "flight_delays"
PACKAGES = ("ydata-profiling==4.18.4", "setuptools<81", "pyarrow")
YDATA = """
import sys
import pandas as pd
from ydata_profiling import ProfileReport

frame = pd.read_parquet(sys.argv[1])
ProfileReport(frame, title="flights", minimal=sys.argv[3] == "minimal", progress_bar=False).to_file(sys.argv[2])
"""


def main() -> None:
    """Print all sides and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="the Python of an environment that has ydata-profiling")
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return write_page(*map(Path, arguments.side))
    with tempfile.TemporaryDirectory() as folder:
        python = arguments.python or installed(Path(folder) / "environment")
        rows, columns = prepare(Path(folder))
        print(f"{rows:,} rows, {columns} columns", flush=True)
        sides = {"sextant": measured([sys.executable, __file__, "--side", folder, f"{folder}/sextant.html"])}
        for kind in ("ordinary", "minimal"):
            script = [python, "-c", YDATA, f"{folder}/rows.parquet", f"{folder}/{kind}.html", kind]
            sides[f"ydata-profiling, {kind}"] = measured(script)
    for name, side in sides.items():
        print(
            f"{name:<26} {side['processor_s']:7.1f} s of processor, {side['seconds']:7.1f} s, {side['page_mb']:.1f} MB"
        )
    ratio = sides["sextant"]["processor_s"] / sides["ydata-profiling, ordinary"]["processor_s"]
    print(json.dumps({"name": "profile", "ratio": round(ratio, 3), "sides": sides}))


def installed(environment: Path) -> str:
    """Install ydata-profiling into a new environment, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(environment / "bin" / "python")


def prepare(folder: Path) -> tuple[int, int]:
    """Write the tables and examples, and the columns that are known at the cutoff with the target as one table."""
    import pandas as pd
    import pyarrow.parquet as pq

    from ml.examples.build import make_examples
    from ml.profile.columns import columns_of
    from ml.tables.sources import write_table

    spec, tables = declared(), {}
    for name, table in spec.tables.items():
        (folder / name).mkdir()
        tables[name] = write_table(USE_CASE, name, table, spec.times_of(name), folder / name).read()
        pq.write_table(tables[name], folder / f"{name}.parquet")
    examples = make_examples(USE_CASE, spec, tables)
    pq.write_table(examples, folder / "examples.parquet")
    columns = {
        column.name: pd.Series(column.labels.to_numpy(zero_copy_only=False)).reindex(column.values).to_numpy()
        if column.is_text
        else column.values
        for column in columns_of(spec, tables, examples)
    }
    frame = pd.DataFrame({**columns, "target": examples["target"].to_pandas()})
    frame.to_parquet(folder / "rows.parquet")
    return len(frame), len(columns)


def declared() -> UseCaseSpec:
    """Return the declaration of the use case."""
    return UseCaseSpec.model_validate(
        yaml.safe_load((ROOT / "configs" / USE_CASE / "defs.yaml").read_text())["attributes"]
    )


def write_page(folder: Path, page: Path) -> None:
    """Write our page."""
    import pyarrow.parquet as pq

    from ml.profile.profile import make_profile
    from ml.report.profile import html

    spec = declared()
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in spec.tables}
    profile = make_profile(spec, tables, pq.read_table(folder / "examples.parquet"))
    page.write_text(html(USE_CASE, spec.description, profile, {"id": "0" * 16}))


def measured(command: list[str]) -> dict[str, float]:
    """Return the seconds and processor seconds of a command, and the megabytes of the page that it wrote."""
    quiet = {"YDATA_PROFILING_NO_ANALYTICS": "True", "PYTHONWARNINGS": "ignore", "MPLBACKEND": "Agg"}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed:\n{errors.decode()[-3000:]}")
    page = next(Path(argument) for argument in command if argument.endswith(".html"))
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_s": round(usage.ru_utime + usage.ru_stime, 1),
        "page_mb": round(page.stat().st_size / 1e6, 1),
    }


if __name__ == "__main__":
    main()
