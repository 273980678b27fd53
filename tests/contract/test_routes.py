"""The HTTP routes of a service."""

from service.http.app import endpoints
from service.http.served import Served
from tests.support.snapshot import check_snapshot


def test_routes_are_those_of_before() -> None:
    methods = {endpoint.path: endpoint.methods for endpoint in endpoints(Served())}

    check_snapshot("routes", methods)
