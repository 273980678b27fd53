"""One record, and a hundred, through a served Bento and through what else would be written; a process for each.

Sides take turns, round after round. A figure is the mean over rounds of the processor time that all processes of a
side spend for a request while 32 clients ask; p50 and p99 are those of one client alone. `of that` is the served
Bento's over another's: below 1, the Bento takes less. The records are the Bento's golden ones, of which half
lack values or have odd ones, and are answered with warnings.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import serving_bulk

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from resources.bentos import free_port  # noqa: E402 - the project's root is not where a script looks

UVICORN = ["-m", "uvicorn", "--no-access-log", "--log-level", "warning"]
BENTOML = ["-m", "bentoml", "serve"]
BATCH = 100
CLIENTS = 32


Row = dict[str, Any]


def _record(rows: list[Row]) -> tuple[str, Any]:
    return "/predict", rows[0] if len(rows) == 1 else {"records": rows}


def _record_of_fastapi(rows: list[Row]) -> tuple[str, Any]:
    return _record(rows) if len(rows) == 1 else ("/predict_many", {"records": rows})


def _record_of_bento(rows: list[Row]) -> tuple[str, Any]:
    return ("/predict", {"record": rows[0]}) if len(rows) == 1 else ("/predict_many", {"records": rows})


def _columns(rows: list[Row]) -> tuple[str, Any]:
    """Return rows as a request of the V2 protocol, with a tensor for each column."""
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(rows)], "data": [row.get(name) for row in rows]}
        for name in sorted({name for row in rows for name in row})
    ]
    return "/v2/models/breast_cancer/infer", {"inputs": inputs}


def _matrix(rows: list[Row]) -> tuple[str, Any]:
    """Return rows as MLServer takes them, in one tensor, which has no place for a missing value: it is a 0."""
    names = sorted({name for row in rows for name in row})
    data = [[row.get(name) or 0.0 for name in names] for row in rows]
    tensor = {"name": "rows", "datatype": "FP64", "shape": [len(rows), len(names)], "data": data}
    return "/v2/models/breast_cancer/infer", {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _split(rows: list[Row]) -> tuple[str, Any]:
    """Return rows as MLflow takes them."""
    names = sorted({name for row in rows for name in row})
    data = [[row.get(name) for name in names] for row in rows]
    return "/invocations", {"dataframe_split": {"columns": names, "data": data}}


def _address(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]


@dataclass
class Side:
    """A server: how it is started at a port, the path where it answers once it is up, and how it is asked of rows."""

    command: list[str]
    folder: Path
    ask: Callable[[list[Row]], tuple[str, Any]] = _record
    python: str = sys.executable
    ready: str = "/livez"
    at: Callable[[int], list[str]] = _address
    ports: tuple[str, ...] = ()  # of the environment, settings that name a port: the first one is that of HTTP
    settings: dict[str, str] = field(default_factory=dict)
    spent_us: dict[str, list[float]] = field(default_factory=dict)
    taken_us: dict[str, list[float]] = field(default_factory=dict)

    def requests(self, records: list[Row]) -> dict[str, bytes]:
        """Return the requests for one record and for BATCH of them."""
        batch = [records[index % len(records)] for index in range(BATCH)]
        return {"one": _post(*self.ask(records[:1])), "batch": _post(*self.ask(batch))}


def _post(path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Client:
    """A connection that is kept."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> bytes:
        """Return the body of the answer, which must be a 200."""
        self.send(request)
        return self.receive()

    def send(self, request: bytes) -> None:
        """Send a request, whose answer `receive` returns."""
        self._socket.sendall(request)

    def receive(self) -> bytes:
        """Return the body of an answer, which must be a 200."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._read()
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), received
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(body) < length:
            body += self._read()
        return body

    def _read(self) -> bytes:
        received = self._socket.recv(1 << 16)
        assert received, "the server went away"
        return received


def spent_s(process: "subprocess.Popen[bytes]") -> float:
    """Return the processor time that a process and all that it has started have spent."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in tree)


@contextmanager
def started(side: Side, environment: dict[str, str], scratch: Path) -> Iterator[tuple[Any, int]]:
    """Start a side; yield its process and its port once it answers."""
    port = free_port()
    home = Path(tempfile.mkdtemp(dir=scratch))
    own = {"PYTHONPATH": str(side.folder), "BENTOML_HOME": str(home), "SEXTANT_DRAIN_SECONDS": "0"}
    own["PATH"] = f"{Path(side.python).parent}{os.pathsep}{os.environ['PATH']}"
    ports = {name: str(free_port() if number else port) for number, name in enumerate(side.ports)}
    process = subprocess.Popen(
        [side.python, *side.command, *side.at(port)],
        cwd=side.folder,
        env={**os.environ, **environment, **own, **ports, **side.settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port, side.ready)
        yield process, port
    finally:
        tree = [process, *psutil.Process(process.pid).children(recursive=True)]
        for member in tree:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        process.wait()


def _wait(process: Any, port: int, path: str) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            Client(port).ask(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        except (OSError, AssertionError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{process.args} did not start")


def measure(side: Side, process: Any, port: int, name: str, request: bytes, count: int) -> None:
    """Ask `count` times, CLIENTS at once, and then one client alone for the time that an answer takes."""
    clients, taken = [Client(port) for _ in range(CLIENTS)], []
    before = spent_s(process)
    for _ in range(count // CLIENTS):
        for client in clients:
            client.send(request)
        for client in clients:
            client.receive()
    side.spent_us.setdefault(name, []).append((spent_s(process) - before) / (count // CLIENTS * CLIENTS) * 1e6)
    for _ in range(count // 4):
        asked = time.perf_counter()
        clients[0].ask(request)
        taken.append((time.perf_counter() - asked) * 1e6)
    side.taken_us.setdefault(name, []).extend(taken)


def sides(before: Path | None, scratch: Path, mlserver: Path | None, log: Path | None) -> dict[str, Side]:
    """Return the servers to compare, this one first; a place for logs adds it with each of them on."""
    here, service = ROOT / "benchmarks", [*BENTOML, "service.service:ModelService"]
    listed = {"sextant": Side(service, ROOT), "sextant, /v2": Side(service, ROOT, _columns)}
    if log is not None:
        predictions = {"SEXTANT_PREDICTIONS": str(log / "predictions"), "SEXTANT_PREDICTIONS_SECONDS": "5"}
        requests = {"SEXTANT_ACCESS_LOG": str(log / "access.jsonl")}
        listed["logs predictions"] = Side(service, ROOT, settings=predictions)
        listed["logs requests"] = Side(service, ROOT, settings=requests)
    if before is not None:
        listed["before"] = Side(service, before)
    listed |= {
        "empty route": Side([*UVICORN, "serving_sides:empty"], here),
        "FastAPI, joblib": Side([*UVICORN, "serving_sides:fastapi"], here, _record_of_fastapi),
        "typed Bento": Side([*BENTOML, "serving_sides:Typed"], here, _record_of_bento),
        "mlflow models serve": Side(
            ["-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", str(scratch / "mlflow")],
            scratch,
            _split,
            ready="/ping",
        ),
    }
    if mlserver is not None:
        listed["MLServer"] = Side(
            [str(mlserver.parent / "mlserver"), "start", str(scratch / "mlserver")],
            scratch,
            _matrix,
            str(mlserver),
            "/v2/health/ready",
            lambda _: [],
            ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT"),
        )
    return listed


def table(listed: dict[str, Side]) -> list[str]:
    """Return the figures as a Markdown table."""
    head = f"| served by | one record, µs | of that | {BATCH} records, µs | of that | p50, µs | p99, µs |"
    rows = [head, "|---|--:|--:|--:|--:|--:|--:|"]
    ours = {name: mean(values) for name, values in listed["sextant"].spent_us.items()}
    for title, side in listed.items():
        taken, figures = sorted(side.taken_us["one"]), []
        for name, values in side.spent_us.items():
            figures += [f"{mean(values):.0f}", f"{ours[name] / mean(values):.2f}"]
        figures += [f"{taken[len(taken) * percent // 100]:.0f}" for percent in (50, 99)]
        rows.append(f"| {title} | {' | '.join(figures)} |")
    return rows


def measure_bulk(running: dict[str, Any], names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Return the rows that each side answers in a second of a processor, by the form of the request."""
    forms = serving_bulk.requests(names)
    spent: dict[tuple[str, str], float] = {}
    for round_ in range(rounds + 1):
        for side in running.keys() & forms.keys():
            process, port = running[side]
            for form, (request, rows) in forms[side].items():
                client, before = Client(port), spent_s(process)
                answers = max(1, 200_000 // rows // 4)
                for _ in range(answers):
                    client.ask(request)
                seconds = (spent_s(process) - before) / (answers * rows)
                if round_:  # the first one warms them up
                    spent[side, form] = spent.get((side, form), 0.0) + seconds / rounds
    return {side: {form: 1 / spent[side, form] for form in forms[side]} for side in forms if side in running}


def bulk_table(speeds: dict[str, dict[str, float]]) -> list[str]:
    """Return the speeds as a Markdown table, with how many times the best other side each one is."""
    others = [speed for side, forms in speeds.items() if side != "sextant" for speed in forms.values()]
    rows = ["| rows at once | rows a second and core | times the best of FastAPI |", "|---|--:|--:|"]
    for side, forms in speeds.items():
        for form, speed in forms.items():
            rows.append(f"| {side}, {form} | {speed:,.0f} | {speed / max(others, default=speed):.1f} |")
    return rows


def show(rows: list[str], page: Path | None, part: str) -> None:
    """Print a table, and write it between the marks of a part of a page, if there is one."""
    print("\n".join(rows))
    if page is not None:
        begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
        before, _, rest = page.read_text().partition(begin)
        _, mark, after = rest.partition(end)
        assert mark, f"{page} has no place for the table {part!r}: it is between {begin!r} and {end!r}"
        page.write_text("".join([before, begin, *(f"{row}\n" for row in rows), mark, after]))


@contextmanager
def checkout(commit: str | None, scratch: Path) -> Iterator[Path | None]:
    """Yield the source of a commit."""
    if commit is None:
        yield None
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(scratch / "before"), commit], check=True)
    try:
        yield scratch / "before"
    finally:
        subprocess.run([*git, "remove", "--force", str(scratch / "before")], check=True)


def main() -> None:
    """Print the table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="the folder src/bundle of a Bento of breast_cancer")
    parser.add_argument("--before", metavar="COMMIT", help="serve the bundle by the source of a commit, too")
    parser.add_argument("--log", action="store_true", help="serve it with its prediction log, and its access log, too")
    parser.add_argument("--mlserver", type=Path, help="the Python of an environment with mlserver-sklearn, a side, too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="for one record; half of them for a hundred")
    parser.add_argument("--bulk", action="store_true", help="ask with many rows at once, in the forms of each side")
    parser.add_argument("--page", type=Path, help="write the table into a page, in the place of the one that it has")
    parser.add_argument("--part", default="one", help="the name of the table's place in the page")
    parser.add_argument("--only", nargs="*", help="the sides to compare")
    arguments = parser.parse_args()
    records = json.loads((arguments.bundle / "golden.json").read_text())["records"]
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = scratch if arguments.log else None
        listed = sides(stack.enter_context(checkout(arguments.before, scratch)), scratch, arguments.mlserver, log)
        listed = {name: side for name, side in listed.items() if not arguments.only or name in arguments.only}
        environment = _prepare(arguments.bundle.resolve(), scratch)
        running = {name: stack.enter_context(started(side, environment, scratch)) for name, side in listed.items()}
        if arguments.bulk:
            speeds = measure_bulk(running, environment["BENCHMARK_COLUMNS"].split(), arguments.rounds)
            show(bulk_table(speeds), arguments.page, arguments.part)
            print(json.dumps({"name": "rows of a second of a processor", "sides": speeds}))
            return
        for round_ in range(arguments.rounds + 1):
            for name, side in listed.items():
                for kind, request in side.requests(records).items():
                    count = arguments.requests if kind == "one" else arguments.requests // 2
                    measure(side, *running[name], kind, request, count if round_ else CLIENTS * 5)
            if not round_:  # it warmed them up
                for side in listed.values():
                    side.spent_us, side.taken_us = {}, {}
    show(table(listed), arguments.page, arguments.part)
    spent = {name: {kind: round(mean(v)) for kind, v in side.spent_us.items()} for name, side in listed.items()}
    print(json.dumps({"name": "processor time of a request, in microseconds", "sides": spent}))


def _prepare(bundle: Path, scratch: Path) -> dict[str, str]:
    """Train the joblib pipeline; return what the sides find their models by."""
    path = str(scratch / "pipeline.joblib")
    script = f"import serving_sides; serving_sides.train({path!r}, {str(scratch)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT / "benchmarks", check=True)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), providers=["CPUExecutionProvider"])
    names = json.loads(session.get_modelmeta().custom_metadata_map["sextant.inputs"])["numeric"]
    return {
        "SEXTANT_BUNDLE": str(bundle),
        "BENCHMARK_JOBLIB": path,
        "BENCHMARK_ONNX": str(bundle / "model.onnx"),
        "BENCHMARK_COLUMNS": " ".join(names),
    }


if __name__ == "__main__":
    main()
