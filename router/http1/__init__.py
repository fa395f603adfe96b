"""HTTP/1.1 framing for a proxy, strict and without sockets: heads, bodies and what is rewritten in them on the way through.

One parser owns framing, in both directions: nothing else in the router looks for a line end. RFC 9110 (semantics), 9112 (syntax).
"""
