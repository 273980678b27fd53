"""The HTTP routes of a service."""

from service.http.app import ROUTES, Served, routes
from tests.support.snapshot import check_snapshot


def test_routes_with_their_methods_are_those_that_the_index_lists() -> None:
    methods = {route.path: sorted(route.methods or ()) for route in routes(Served())}

    check_snapshot("routes", methods)
    assert {tuple(line.split(" ")) for line in ROUTES} <= {
        (method, path) for path in methods for method in methods[path]
    }
    assert len(ROUTES) == len(methods)
