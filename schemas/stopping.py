"""Being told to end by SIGTERM or SIGINT, in a way that cannot itself keep the process from ending."""

import signal
from queue import SimpleQueue
from threading import Event, Thread


def stop_on_signal() -> Event:
    """An event that SIGTERM and SIGINT set from now on. For the main thread of a process; once.

    Python runs a signal's handler between two steps of the main thread. If that thread is just then inside
    ``wait`` of the event, it holds the lock that ``set`` asks for, and a handler that calls ``set`` waits for
    its own thread, for ever. ``SimpleQueue.put`` may be called anywhere; a thread of its own does the rest.
    """
    told: SimpleQueue[int] = SimpleQueue()
    stop = Event()

    def pass_on() -> None:
        told.get()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.put(number))
    Thread(target=pass_on, name="signals", daemon=True).start()
    return stop
