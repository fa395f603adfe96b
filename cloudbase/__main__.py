"""`python -m cloudbase` is the `cloudbase` command."""

from cloudbase.entry import main

main()
