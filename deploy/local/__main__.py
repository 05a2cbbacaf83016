"""``python -m deploy.local up|status|down|fetch``: what the targets of the Makefile run."""

import argparse
import sys

from deploy.local.jars import cache_folder, class_path, read_lock
from deploy.local.stack import Stack, tell
from schemas.errors import LienthongError


def up(stack: Stack) -> None:
    """Start it and say how to use it."""
    stack.up(tell)
    tell(f"in this shell:  . {stack.env_file}")
    for name, value in stack.settings().items():
        print(f"{name}={value}")


def status(stack: Stack) -> None:
    """One line for each server: name, state, address, process id, log."""
    for server in stack.states():
        pid = "-" if server.pid is None else str(server.pid)
        print(f"{server.name:<11} {server.state:<16} {server.address or '-':<16} {pid:>8}  {server.log}")
    if any(server.state in ("not answering", "ended by itself") for server in stack.states()):
        tell("next step: make up")


def down(stack: Stack) -> None:
    """Stop it."""
    stack.down(tell)


def fetch(_: Stack) -> None:
    """Fetch and verify what is missing, so that no test has to wait for a download unseen."""
    class_path(read_lock(), cache_folder(), say=tell)


def main() -> int:
    """Run one command. Returns the exit status."""
    commands = {"up": up, "status": status, "down": down, "fetch": fetch}
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("command", choices=commands)
    try:
        commands[parser.parse_args().command](Stack())
    except LienthongError as error:
        tell(f"error: {error.message}")
        tell(f"next step: {error.next_step}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
