from __future__ import annotations

import asyncio

import pytest

from service.http.patience import Patience


async def now(value: int) -> int:
    return value


def test_what_is_sent_in_time_is_returned() -> None:
    assert asyncio.run(Patience().wait(now(3), 60)) == 3


def test_what_does_not_come_is_waited_for_no_longer() -> None:
    patience = Patience()

    async def ask() -> list[object]:
        never = [patience.wait(asyncio.Event().wait(), 0.01) for _ in range(3)]
        return await asyncio.gather(*never, patience.wait(now(3), 0.01), return_exceptions=True)

    found = asyncio.run(ask())

    assert [type(result) for result in found] == [TimeoutError] * 3 + [int]


def test_who_is_cancelled_by_others_is_not_out_of_time() -> None:
    async def ask() -> None:
        task = asyncio.create_task(Patience().wait(asyncio.Event().wait(), 60))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())
