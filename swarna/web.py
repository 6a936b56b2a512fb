"""The web processes: any number of them behind one listening socket.

The process that starts them opens the socket, and each inherits it. So a port in use is noticed in one place, and a
connection that comes while a process is replaced waits in the socket's queue instead of being refused.
"""

import errno
import os
import resource
import socket
import sys
from collections.abc import Mapping

from django.conf import settings
from django.core.management.base import CommandError

from infra.process.supervisor import Program
from streaming.engine import balance

# Connections that wait to be accepted; the kernel lowers it to net.core.somaxconn. After an outage all clients come
# back at once.
_BACKLOG = 65535
READY = "listening on "
# Open files of a web process beside WebSocket connections: its reserve (streaming/engine/descriptors.py), connections
# to the database and Redis, metrics, and HTTP clients.
_OTHER_FILES = 150


def open_files(connections: int) -> str:
    """Raise this process's limit of open files. Returns a warning where it is too low for its connections, or ""."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY or most >= connections + _OTHER_FILES:
        return ""
    return (
        f"WS_MAX_CONNECTIONS is {connections}, but this process may open {most} files: raise its limit "
        f"(ulimit -n, LimitNOFILE of systemd, ulimits of Docker) to {connections + _OTHER_FILES}"
    )


def listening(host: str, port: int) -> socket.socket:
    """Listen at an address. Raises CommandError, which says what to set instead."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # All addresses include those of IPv4, whatever the kernel's default.
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = f"Port {port} is in use. Set WEBSOCKET_PORT to another one."
        elif error.errno == errno.EACCES:
            advice = f"This user may not open port {port}. Set WEBSOCKET_PORT to 1024 or more."
        else:
            advice = f"{host!r} is no address of this machine ({error.strerror}). Set BIND_ADDRESS to one."
        raise CommandError(advice) from error


def programs(listener: socket.socket, processes: int, env: Mapping[str, str]) -> list[Program]:
    """The web processes of this socket, for a Supervisor."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--socket", str(listener.fileno())]
    fds: tuple[int, ...] = (listener.fileno(),)
    if processes > 1:
        memory = balance.shared_memory(processes)
        command += ["--balance", str(memory)]
        fds += (memory,)
    return [
        Program(
            f"web {number}" if processes > 1 else "web",
            command,
            env=os.environ | env,
            fds=fds,
            grace=settings.WS_DRAIN_TIMEOUT.total_seconds() + 1,
            ready_line=READY,
        )
        for number in range(1, processes + 1)
    ]
