"""THE FACE: the `cloudbase` command line, and the one-process local mode that composes all of the other rooms."""
