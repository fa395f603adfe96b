"""One control process and N workers: a router on several cores, whose traffic nothing but traffic delays."""
