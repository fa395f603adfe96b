"""Where the `cloudbase` command begins. Next to nothing is imported by then: Ctrl-C is in order from here on."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130  # exit code after Ctrl-C: 128 + SIGINT, as shells have it


def main() -> None:
    """Run the command; Ctrl-C while it is being imported ends at once and without a word, as nothing was begun.

    No KeyboardInterrupt: raised in one of the import system's callbacks it would be printed and forgotten.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else who started us wants it ignored
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from cloudbase.cli import main as command

    signal.signal(signal.SIGINT, usual)
    command(prog_name="cloudbase")
