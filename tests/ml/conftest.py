"""What `ml` draws is drawn."""

import pytest


@pytest.fixture(autouse=True)
def every_picture(drawn: None) -> None:
    """Draw every picture."""
