"""Places on loopback for the servers that tests start."""

import itertools
import os
import socket

_FIRST, _EACH, _PROCESSES = 12_000, 100, 200
# Below the ports that the kernel gives to outgoing connections: one of those may be taken again before a server has it.
_mine = _FIRST + os.getpid() % _PROCESSES * _EACH
_ports = itertools.cycle(range(_mine, _mine + _EACH))


def free_port() -> int:
    """A port that nobody listens on; test processes side by side have their own, so that they do not meet."""
    for port in itertools.islice(_ports, _EACH):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"every port from {_mine} to {_mine + _EACH - 1} is taken on 127.0.0.1")
