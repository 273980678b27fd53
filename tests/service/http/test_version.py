from pathlib import Path

import pytest

from service.http.bentos import bentos_of
from service.http.version import load_version, tag_of


@pytest.mark.parametrize("folder", ["/", "/bundle", "/models/bundle", "bundle"])
def test_a_bundle_that_lies_high_up_lies_in_no_bento(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))

    assert tag_of(Path(folder)) is None
    assert bentos_of(Path(folder), "flights", load_version).folder == tmp_path / "bentos" / "flights"
