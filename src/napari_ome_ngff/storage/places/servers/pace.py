"""How many requests a server gets at once: few at first, more while it answers, fewer when it cannot.

Small servers keep a handful of connections waiting and drop the rest (``python -m http.server``: five), large
ones want many requests at once. What both can stand is that few connections are made at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable

FIRST = 5
"""Connections that any server gets at once: as many as its queue holds at least."""


STEP = 0.001
"""Seconds between further ones; five times that before its first answer."""


CALM = 30.0
"""Seconds after which an earlier trouble no longer counts."""


class Pace:
    """The requests of one server in one event loop.

    As many as there are connections begin at once. Each further one is a new connection: `FIRST` at once,
    then one after the other, as long as the server answers no later than it must. A server that closes each
    connection (`closes`) never has any. Where it does not answer, or says that it is asked too much, half as
    many requests may be under way as were, and slowly more as it answers again.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.size = math.inf
        self.under_way = 0
        self.closes = False
        self.heard = -math.inf  # when the server last answered
        self._open = FIRST
        self._alone: deque[float] = deque(maxlen=16)  # seconds of answers while few requests were under way
        self._since = self._began = self._halved = self._pause = -math.inf
        self._turn = asyncio.Lock()
        self._change: asyncio.Future[None] | None = None

    async def begin(self) -> float:
        """Wait for a turn, and return when it came. `end` must follow."""
        async with self._turn:
            while (delay := self._delay()) > 0:
                self._change = asyncio.get_running_loop().create_future()
                await asyncio.wait([self._change], timeout=None if delay == math.inf else delay)
            self._began = self._clock()
            if not self.under_way:
                self._since = self._began  # silence begins with the first request
            self.under_way += 1
            self._open = max(self._open, self.under_way)
            return self._began

    def end(self) -> None:
        """A request is over."""
        self.under_way -= 1
        self._wake()

    def answered(self, began: float) -> None:
        """The server has begun to answer, be it with an error."""
        self.heard = self._clock()
        if self.under_way <= FIRST:
            self._alone.append(self.heard - began)
        self.size = math.inf if self.heard - self._halved > CALM else self.size + 0.25 / self.size
        self._wake()

    def trouble(self, began: float, *, pause: float = 0.0) -> None:
        """The server did not answer, or says that it is asked too much: nothing begins for a while."""
        now = self._clock()
        if began > self._halved:  # once for all that were under way together
            self._halved = now
            self.size = max(1.0, min(self.size, self.under_way) / 2)
        self._open = FIRST
        self._pause = max(self._pause, now + pause)

    def _delay(self) -> float:
        """Seconds after which a request may begin, unless there is an answer first."""
        now = self._clock()
        if now < self._pause:
            return self._pause - now
        if self.under_way >= self.size:
            return math.inf
        if self.under_way < (FIRST if self.closes else self._open):
            return 0.0
        fastest = min(self._alone, default=math.inf)
        # What is close by answers at once or is busy; only what is far away has to be asked ahead.
        if now - max(self.heard, self._since) > (fastest - 0.01 if self.closes else 3 * fastest + 0.01):
            return math.inf
        return self._began + (STEP if self._alone else 5 * STEP) - now

    def _wake(self) -> None:
        if self._change is not None and not self._change.done():
            with contextlib.suppress(RuntimeError):  # its loop was closed
                self._change.set_result(None)
