"""Places on loopback for the servers that tests start."""

import socket


def free_port() -> int:
    """A port that nobody listens on, chosen by the kernel, so that test processes side by side do not meet."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
