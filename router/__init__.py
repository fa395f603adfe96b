"""WHERE TO: the data plane. HTTP/1.1 framing, route table, admission gate, balancing, upstream pool, drain, metrics."""
