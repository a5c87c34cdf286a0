"""Many threads use one kernel at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.plan.objects import InterfaceAddress, LinkUp, Objects, Route, Sysctl
from weft.plan.operations import additions, difference, removals
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import PORT, guard, network, on_host


def plugged(box: Space, number: int) -> Objects:
    """Return everything that the ``number``-th container gets."""
    ns = Namespace(path=box.path, inode=box.inode)
    port, mac = f"wv{number}", f"02:42:0a:09:00:{number:02x}"
    return (
        *guard(port, number),
        replace(PORT, name=port, peer_ns=ns, peer_mac=mac, alias=f"weft:endpoint:{number}"),
        Sysctl(path="net/ipv4/conf/eth0/arp_notify", value="1", ns=ns),
        InterfaceAddress(interface="eth0", cidr=f"10.9.0.{number}/24", ns=ns),
        LinkUp(name=port),
        LinkUp(name="eth0", ns=ns, announce=mac),
        Route(destination="0.0.0.0/0", interface="eth0", gateway="10.9.0.1", ns=ns),
    )


def test_sixty_four_attach_and_detach_at_once(kernel: LinuxKernel, machine: Host) -> None:
    """Meanwhile somebody observes; in the end all is there, and then nothing."""
    kernel.apply(additions(network()))
    boxes = {number: machine.container(f"c{number}") for number in range(2, 66)}
    plans = {number: plugged(box, number) for number, box in boxes.items()}
    everything = (*network(), *(thing for plan in plans.values() for thing in plan))
    with ThreadPoolExecutor(32) as threads:
        attached = [threads.submit(kernel.apply, additions(plan)) for plan in plans.values()]
        watched = [threads.submit(kernel.observe, everything) for _ in range(4)]
        for done in (*attached, *watched):
            done.result()
        assert difference(on_host(everything), kernel.observe(everything)) == ()
        assert all(threads.map(lambda box: box.ping("10.9.0.1", 3), boxes.values()))
        gone = [threads.submit(kernel.withdraw, removals(plan)) for plan in plans.values()]
        assert all(done.result() == [] for done in gone)
    assert difference(on_host(network()), kernel.observe(network())) == ()
