from __future__ import annotations

import pytest

from service.http.routes import Routes, parts_of

ROUTES = Routes(["/", "/predict", "/v2/{name}", "/v2/{name}/infer", "/v2/{name}/versions/{version}", "/v2/health/live"])


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/predict", "/predict"),
        ("/", "/"),
        ("/v2/flights", "/v2/{name}"),
        ("/v2/flights/infer", "/v2/{name}/infer"),
        ("/v2/health/live", "/v2/health/live"),
        ("/v2/flights/versions/3", "/v2/{name}/versions/{version}"),
        ("/v2/flights/versions", None),
        ("/v2/a/b/c", None),
        ("/nowhere", None),
        ("", None),
        ("/" * 10_000, None),
    ],
)
def test_a_path_is_one_route_or_none(path: str, route: str | None) -> None:
    assert ROUTES.of(path) == route


def test_the_parts_that_vary_have_names() -> None:
    assert parts_of("/v2/{name}/versions/{version}", "/v2/a/versions/3/infer") == {"name": "a", "version": "3"}
