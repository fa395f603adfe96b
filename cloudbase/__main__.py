"""`python -m cloudbase` is the `cloudbase` command."""

from cloudbase.cli import main

main(prog_name="cloudbase")
