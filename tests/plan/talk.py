"""Programs that tests start in namespaces: a server that says who called, a client that asks, a sender of raw frames.

talk.py serve PROTOCOL ADDRESS PORT         answer everyone with his address
talk.py ask PROTOCOL ADDRESS PORT SECONDS   print the answer, nothing if there is none
talk.py frame INTERFACE HEX                 send an Ethernet frame
talk.py hear INTERFACE SECONDS              print the frames that come in, in hex, one on a line
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def open_socket(protocol: str, address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, KINDS[protocol])


def serve(protocol: str, address: str, port: str) -> None:
    listener = open_socket(protocol, address)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    if protocol == "tcp":
        listener.listen()
    print("ready", flush=True)
    while True:
        if protocol == "udp":
            _, caller = listener.recvfrom(100)
            listener.sendto(caller[0].encode(), caller)
        else:
            connection, caller = listener.accept()
            connection.sendall(caller[0].encode())
            connection.close()


def ask(protocol: str, address: str, port: str, seconds: str) -> None:
    caller = open_socket(protocol, address)
    caller.settimeout(float(seconds))
    with contextlib.suppress(OSError):
        caller.connect((address, int(port)))
        if protocol == "udp":
            caller.send(b"who am I?")
        print(caller.recv(100).decode(), end="")


def frame(interface: str, data: str) -> None:
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((interface, 0))
    sender.send(bytes.fromhex(data))


def hear(interface: str, seconds: str) -> None:
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
    ear.bind((interface, 3))
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        ear.settimeout(left)
        with contextlib.suppress(TimeoutError):
            data, (_, _, kind, _, _) = ear.recvfrom(2000)
            if kind != socket.PACKET_OUTGOING:  # type: ignore[attr-defined]
                print(data.hex(), flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
