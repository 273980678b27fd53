"""What the deployment declares: its services, images, ports and settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.location.instance import _SETTINGS
from ml.provenance.source import PACKAGES

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NAMES = ["postgres", "mlflow", "code", "webserver", "daemon", "service"]
LISTENS = {"postgres": "5432", "mlflow": "5000", "code": "4000", "webserver": "3000", "service": "3001"}


def command(service: str) -> str:
    declared = SERVICES[service].get("command", "")
    return declared if isinstance(declared, str) else " ".join(declared)


def test_these_are_the_services() -> None:
    assert list(SERVICES) == NAMES


def test_every_image_is_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()} | set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M))

    assert len(images) == 3
    assert [image for image in images if not re.search(r":\d[\w.-]*$", image)] == []


def test_no_port_is_open_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert sorted(published) == ["127.0.0.1:3000:3000", "127.0.0.1:3001:3001", "127.0.0.1:5000:5000"]
    assert not any(set(service) & {"network_mode", "privileged", "cap_add"} for service in SERVICES.values())


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\w+)", DOCKERFILE, re.M)[-1] == "sextant"
    assert not any("user" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_service_restarts_tells_its_health_and_names_what_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert set(service.get("depends_on", {})) <= set(NAMES)
    for needed, port in re.findall(r"(\w+):(\d+)\b(?!:)", command(name).partition(" -- ")[0]):
        assert LISTENS[needed] == port


@pytest.mark.parametrize("name", ["mlflow", "code", "webserver", "daemon"])
def test_a_service_waits_for_the_database_itself(name: str) -> None:
    assert "deploy/wait.py postgres:5432 " in command(name)


def test_the_password_comes_from_the_environment_alone() -> None:
    said = [
        service["environment"][name]
        for service in SERVICES.values()
        for name in ("POSTGRES_PASSWORD", "PGPASSWORD")
        if name in service.get("environment", {})
    ]

    assert said == ["${POSTGRES_PASSWORD:-sextant}"] * 5
    assert "POSTGRES_PASSWORD" in (ROOT / "docker-compose.yml").read_text().partition("\nname:")[0]


def test_named_volumes_and_mounted_files_exist() -> None:
    sources = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    files = {source for source in sources if source.startswith("./")}

    assert sources - files == set(COMPOSE["volumes"]) == {"postgres", "mlflow", "sextant"}
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_the_workspace_is_the_code_service() -> None:
    [entry] = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]

    assert entry["grpc_server"] == {"host": "code", "port": 4000, "location_name": "sextant"}
    assert "--port=4000" in command("code")
    assert "--location-name=sextant" in command("code")


def test_the_instance_is_set_up_as_the_embedded_one_but_for_where_things_lie() -> None:
    declared = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())

    places = {name: declared.pop(name) for name in ("storage", "local_artifact_storage", "compute_logs")}
    embedded = yaml.safe_load(_SETTINGS)
    assert embedded.pop("run_launcher")  # it looks for processes, which here are in another container than the daemon
    assert declared == embedded
    assert places["storage"] == {"postgres": {"postgres_url": "postgresql+psycopg2:///dagster"}}


def test_the_image_holds_the_source_that_coordinates_hash_and_little_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert lines[1] == "*"
    assert set(PACKAGES) <= allowed
    assert allowed - set(PACKAGES) == {"deploy", "LICENSE", "README.md", "pyproject.toml", "requirements.lock"}
    assert all((ROOT / name).exists() for name in allowed)


def test_a_change_of_code_installs_no_package_anew() -> None:
    steps = [line for line in DOCKERFILE.splitlines() if line.startswith(("COPY", "RUN python -m pip", "ARG"))]

    assert [step.partition(" #")[0].split()[-1] for step in steps] == [
        "/tmp/requirements.lock", "/tmp/requirements.lock", ".", ".", 'SEXTANT_COMMIT=""',
    ]  # fmt: skip
