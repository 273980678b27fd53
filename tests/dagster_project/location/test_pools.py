from pathlib import Path

import dagster as dg

from dagster_project.location.pools import limit_pools
from resources.gpu.pool import GpuPool


def test_the_pool_takes_as_many_steps_as_there_are_gpus_and_any_number_where_there_is_none(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:

        def limits(devices: list[int]) -> dict[str, int]:
            limit_pools(instance, GpuPool(devices=devices))
            return {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}

        assert [limits([]), limits([0, 1]), limits([0]), limits([])] == [{}, {"gpu": 2}, {"gpu": 1}, {}]
