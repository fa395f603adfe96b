"""WHERE TO: the data plane. HTTP/1.1 framing, route table, admission gate, balancing, upstream pool, drain, metrics."""

from router.compiled import choose_build

BUILD = choose_build()  # "plain", "compiled", or why it is plain
