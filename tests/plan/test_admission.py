"""Other firewalls are asked to let weft's bridges pass, each in the way that it documents."""

from __future__ import annotations

from weft.model.base import replace
from weft.plan import admission
from weft.plan.objects import Admission
from weft.plan.operations import additions, describe, removals

from .records import HOST, network

A, B = network("a"), network("b", ("172.21.0.0/16",))
CABLE = network("cable", ("10.9.0.0/30",), driver="ptp")
GUARDED = replace(HOST, facts=replace(HOST.facts, firewalls=("ufw", "docker", "another")))


def test_each_known_firewall_that_is_active_is_asked_for_each_bridge() -> None:
    assert admission.plan([A, CABLE, B], GUARDED) == (
        Admission(manager="docker", interface=A.bridge),
        Admission(manager="docker", interface=B.bridge),
        Admission(manager="ufw", interface=A.bridge),
        Admission(manager="ufw", interface=B.bridge),
    )


def test_alone_on_the_host_nobody_is_asked() -> None:
    assert admission.plan([A, B], HOST) == ()


def test_what_was_asked_for_is_taken_back() -> None:
    asked = admission.plan([A], GUARDED)
    assert f"iptables -I DOCKER-USER -i {A.bridge} -j ACCEPT" in describe(additions(asked))
    assert f"iptables -D DOCKER-USER -i {A.bridge} -j ACCEPT" in describe(removals(asked))
    assert f"ufw route delete allow in on {A.bridge}" in describe(removals(asked))
