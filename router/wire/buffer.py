"""One buffer that everything is read into (recv_into): reading allocates nothing, and a 64 KiB answer is one read and one send.

What is in it is valid until the next read on this thread, so whoever keeps bytes copies them.
"""

from __future__ import annotations

from typing import Final

SIZE: Final = 131072  # bytes
BUFFER: Final = bytearray(SIZE)
VIEW: Final = memoryview(BUFFER)
begins_with: Final = BUFFER.startswith  # bound once: through an imported name each call would bind it anew
BUSY: Final = (BlockingIOError, InterruptedError)  # the kernel has nothing, or takes nothing, just now
SMALL: Final = 4096  # bytes of a message that may wait for the others of its turn; more would crowd the caches
KEPT: Final = 640  # bytes of a head that a connection may remember while it is idle; what is read of it takes as much again
FORGET: Final = 1.0  # seconds between two looks at what idle connections remember
LARGE: Final = 16384  # bytes of payload from which it is worth a detour not to copy it
