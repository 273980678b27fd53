"""The manifests: valid by the schemas, and true to what the image is and what the service reads."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from resources.images import TEMPLATE
from service.http.limits import SETTINGS

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KSERVE: dict[str, Any] = json.loads((Path(__file__).parent / "kserve_v1beta1.json").read_text())
DEPLOYMENT, SERVICE, BUDGET = yaml.safe_load_all((FOLDER / "deployment.yaml").read_text())
INFERENCE = yaml.safe_load((FOLDER / "kserve.yaml").read_text())
PODS = {"deployment": DEPLOYMENT["spec"]["template"]["spec"], "kserve": INFERENCE["spec"]["predictor"]}


@pytest.mark.parametrize("manifest", [DEPLOYMENT, SERVICE, BUDGET], ids=lambda manifest: manifest["kind"])
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_a_misspelt_field_is_not() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**BUDGET, "spec": {"minAvailabel": 1}}, "1.37", strict=True)


def test_an_inference_service_is_valid_and_its_predictor_is_a_pod_beside_that() -> None:
    jsonschema.validate(INFERENCE, KSERVE)

    apart = KSERVE["$defs"]["component"]["properties"]
    pod = {name: value for name, value in INFERENCE["spec"]["predictor"].items() if name not in apart}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": pod}, "1.37", strict=True
    )


def test_all_select_the_pods_of_the_deployment() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]

    selectors = [DEPLOYMENT["spec"]["selector"]["matchLabels"], SERVICE["spec"]["selector"]]
    assert [*selectors, BUDGET["spec"]["selector"]["matchLabels"]] == [labels] * 3
    assert BUDGET["spec"]["minAvailable"] < DEPLOYMENT["spec"]["replicas"]


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_runs_as_the_image_does_and_lets_the_service_drain(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]
    settings = {variable["name"]: variable["value"] for variable in container["env"]}

    assert pod["securityContext"]["runAsUser"] == 1034
    assert "BENTOML_HOME=/tmp" in TEMPLATE.read_text()
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    port = int(settings.pop("BENTOML_PORT", "3000"))
    assert container["ports"][0]["containerPort"] == port
    assert settings.keys() <= set(SETTINGS.values())
    longest = float(settings["SEXTANT_DRAIN_SECONDS"]) + float(settings["SEXTANT_MAX_SECONDS"]) + 2
    assert pod["terminationGracePeriodSeconds"] > longest
    probe = container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < float(settings["SEXTANT_DRAIN_SECONDS"])
    assert re.fullmatch(r"/(readyz|livez)", container["livenessProbe"]["httpGet"]["path"])
