"""Defects in how HTTP/1.1 is read and written: each removes one check of a head or a body."""

from __future__ import annotations

from tests.mutants.defect import (
    ANSWERS,
    BODY,
    FIELDS,
    HOSTILE,
    HOSTILE_ANSWERS,
    REPEATS,
    REQUEST,
    REQUESTS,
    RESPONSE,
    SEEDS,
    USUAL,
    WIRE,
    Defect,
)

HTTP1 = (
    Defect("a second Content-Length", FIELDS, "    if len(lengths) > 1:\n", "    if False:\n", (REQUESTS,)),
    Defect(
        "Content-Length beside Transfer-Encoding",
        FIELDS,
        '        if lengths:\n            raise Malformed("Content-Length together',
        '        if False:\n            raise Malformed("Content-Length together',
        (REQUESTS,),
    ),
    Defect(
        "Transfer-Encoding in HTTP/1.0",
        FIELDS,
        '        if minor == b"0":\n            raise Malformed("Transfer-Encoding in',
        '        if False:\n            raise Malformed("Transfer-Encoding in',
        (REQUESTS,),
    ),
    Defect(
        "codings beside chunked", FIELDS, 'codings[0].lower() != b"chunked"', 'b"chunked" not in codings[0].lower()', (REQUESTS,)
    ),
    Defect("Connection that names framing", FIELDS, "    if named & _UNTOUCHABLE:\n", "    if False:\n", (REQUESTS,)),
    Defect("fields named by Connection", FIELDS, "if lower not in named and", "if", (REQUESTS,)),
    Defect("framing spelt with underscores", FIELDS, '    plain = name.replace(b"_", b"-")\n', "    plain = name\n", (REQUESTS,)),
    Defect("who sent it, by anybody", FIELDS, "(sender.trusted and plain == name)", "plain == name", (REQUESTS,)),
    Defect("a second Host", FIELDS, "    if len(values) != 1:\n", "    if not values:\n", (REQUESTS,)),
    Defect("a malformed Host", FIELDS, "    if grammar.match_host(values[0]) is None:\n", "    if False:\n", (REQUESTS,)),
    Defect("too many fields", FIELDS, '    if block.count(b"\\n") > sender.limits.fields:\n', "    if False:\n", (REQUESTS,)),
    Defect(
        "too many fields behind known ones",
        FIELDS,
        ' if len(tail) < prefix.room or tail.count(b"\\n") <= prefix.left else None',
        "",
        (REPEATS,),
    ),
    Defect(
        "HTTP/1.0 that is taken for 1.1",
        FIELDS,
        '    if minor == b"0":\n        return read_s',
        "    if False:\n        return read_s",
        (REQUESTS,),
    ),
    Defect("fields of HTTP/1.0 that hold for 1.1", FIELDS, ' and fields.minor == b"1"', "", (REPEATS,)),
    Defect("a tail that says something new", FIELDS, " and found.groups() == fields.said", "", (REPEATS,)),
    Defect("a tail like those behind another prefix", FIELDS, "    if known and fields.alike", "    if fields.alike", (REPEATS,)),
    Defect("an expression for each client's names", USUAL, " and len(_alike) < _MOST", "", (REPEATS,)),
    Defect(
        "a length that varies in a tail that looks the same",
        FIELDS,
        "host is None and length is None and",
        "host is None and",
        (REPEATS,),
    ),
    Defect("a tail behind another prefix", FIELDS, " and prefix is fields.prefix", "", (REPEATS,)),
    Defect(
        "a second Host behind known fields",
        "router/http1/prefix.py",
        "        if not ((a is None or g is None) and (b",
        "        if not ((b",
        (REPEATS,),
    ),
    Defect(
        "an authority that is not Host",
        REQUEST,
        "    if _authority(authority) != _authority(fields.host):\n",
        "    if False:\n",
        (REQUESTS,),
    ),
    Defect("a lowercase method", REQUEST, "    if _match_method(method) is None:\n", "    if False:\n", (REQUESTS,)),
    Defect("CONNECT", REQUEST, '    if method == b"CONNECT":\n', "    if False:\n", (SEEDS, HOSTILE)),
    Defect("a head without end", REQUEST, "    if len(data) > limits.head + 3:", "    if False:", (REQUESTS, WIRE)),
    Defect(
        "a bare LF in a head that goes on",
        REQUEST,
        "    if grammar.find_bare_lf(data) is not None:\n",
        "    if False:\n",
        (REQUESTS,),
    ),
    Defect(
        "a chunk that goes on beyond its size",
        BODY,
        "        if view[start] != CRLF[2 - left]:\n",
        "        if False:\n",
        (ANSWERS,),
    ),
    Defect("a hex-prefixed chunk size", BODY, 'rb"([0-9a-fA-F]{1,15})', 'rb"(?:0x)?([0-9a-fA-F]{1,15})', (ANSWERS,)),
    Defect(
        "a chunk's line without end",
        BODY,
        "        if len(self.line) > (_LINE_LIMIT",
        "        if False and len(self.line) > (_LINE_LIMIT",
        (WIRE,),
    ),
    Defect(
        "framing in trailers",
        BODY,
        " if grammar.may_trail(name)",
        "",
        (ANSWERS,),
    ),
    Defect(
        "malformed trailers", BODY, "        if grammar.match_block(block) is None:\n", "        if False:\n", (ANSWERS, HOSTILE)
    ),
    Defect(
        "an answer with both framings",
        RESPONSE,
        '        if lengths:\n            raise BadUpstream("The function answered with Content-Length together',
        '        if False:\n            raise BadUpstream("The function answered with Content-Length together',
        (ANSWERS,),
    ),
    Defect(
        "an answer with two lengths", RESPONSE, "    if len(lengths) > 1 or not lengths[0]", "    if not lengths[0]", (ANSWERS,)
    ),
    Defect(
        "Content-Length in a 204",
        RESPONSE,
        "    if status < 200 or status == 204:\n",
        "    if status < 200:\n",
        (ANSWERS, HOSTILE_ANSWERS),
    ),
)
