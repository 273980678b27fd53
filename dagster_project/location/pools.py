"""The limits of Dagster's pools, so that the UI shows who waits; that no GPU is shared is up to the leases alone."""

import dagster as dg

from resources.databases import require_free
from resources.gpu.pool import POOL, GpuPool


def limit_own_pools() -> None:
    """Limit the pools of the instance in $DAGSTER_HOME by the GPUs of this machine."""
    require_free()
    with dg.DagsterInstance.get() as instance:
        limit_pools(instance, GpuPool())


def limit_pools(instance: dg.DagsterInstance, gpus: GpuPool) -> None:
    """Let as many steps run in the pool `gpu` as there are GPUs; with none there is no limit, so that none is held up.

    Steps that take a share of a GPU are in the pool `gpu_shared`, which has a limit only if somebody sets one.
    """
    storage, number = instance.event_log_storage, len(gpus.available())
    if number:
        storage.set_concurrency_slots(POOL, number)
    elif POOL in {limit.name for limit in storage.get_pool_limits()}:
        storage.delete_concurrency_limit(POOL)
