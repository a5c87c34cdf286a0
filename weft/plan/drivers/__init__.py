"""How a container is wired on its host: one file for each way.

A driver is a module-level object with the methods of ``Driver``; ``registry`` finds it by the name that users
give to ``--driver``.
"""

from __future__ import annotations

from weft.model.errors import InvalidOption
from weft.plan.drivers import bridge, ptp
from weft.plan.drivers.base import Driver

_DRIVERS: dict[str, Driver] = {driver.name: driver for driver in (bridge.DRIVER, ptp.DRIVER)}


def registry(name: str) -> Driver:
    """Return the driver called ``name``; raise InvalidOption if there is none."""
    try:
        return _DRIVERS[name]
    except KeyError:
        raise InvalidOption(
            f"there is no driver {name!r}", f"Drivers are {', '.join(sorted(_DRIVERS))}.", driver=name
        ) from None
