"""Function documents that cannot work, each with field and words, and some that can: one table for every door they come by."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

DIGEST = f"sha256:{'a' * 64}"
GOOD_SPEC: dict[str, Any] = {"runtime": "node", "source": DIGEST}


@dataclass(frozen=True)
class Bad:
    """One document and what is wrong with it."""

    id: str
    field: str
    words: str  # a part of the message
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)  # laid over GOOD_SPEC
    name: str = "hello"
    without: tuple[str, ...] = ()  # keys of GOOD_SPEC that are left out
    by_schema: bool = False  # a structural schema prunes or refuses it before any webhook sees it

    @property
    def document(self) -> dict[str, Any]:
        return {key: value for key, value in GOOD_SPEC.items() if key not in self.without} | self.spec


BAD = (
    Bad("capitals", "name", "is not a DNS label", name="Hello"),
    Bad("dots", "name", "is not a DNS label", name="hello.world"),
    Bad("long-name", "name", "has 53 characters", name="a" * 53),
    Bad("unknown-runtime", "runtime", 'there is no runtime "ruby"', {"runtime": "ruby"}),
    Bad("near-runtime", "runtime", "did you mean python", {"runtime": "pyhton"}),
    Bad("runtime-number", "runtime", "must be text", {"runtime": 3}),
    Bad("bad-digest", "source", "is not a digest", {"source": "sha256:abc"}),
    Bad("entry-out", "entry", "is not a path inside the source", {"entry": "../main.js"}),
    Bad("unknown-type", "type", "must be HTTP or EVENT", {"type": "CRON"}),
    Bad("env-name", "env.1A", "is not a name of an environment variable", {"env": {"1A": "x"}}),
    Bad("env-port", "env.PORT", "is set by the platform", {"env": {"PORT": "80"}}),
    Bad("env-own", "env.CLOUDBASE_X", "is set by the platform", {"env": {"CLOUDBASE_X": "1"}}),
    Bad("env-number", "env.A", "must be text, was 1", {"env": {"A": 1}}),
    Bad("env-large", "env.A", "is longer than 64 KiB", {"env": {"A": "x" * 65537}}),
    Bad("min-above-max", "scaling.min", "above scaling.max", {"scaling": {"min": 5, "max": 2}}),
    Bad("min-negative", "scaling.min", "must be from 0 to 1000", {"scaling": {"min": -1}}),
    Bad("max-zero", "scaling.max", "must be from 1 to 1000", {"scaling": {"max": 0}}),
    Bad("max-huge", "scaling.max", "must be from 1 to 1000, was 5000", {"scaling": {"max": 5000}}),
    Bad("initial-above-max", "scaling.initial", "above scaling.max", {"scaling": {"initial": 3, "max": 2}}),
    Bad("unknown-metric", "scaling.metric", "must be concurrency or rps", {"scaling": {"metric": "cpu"}}),
    Bad("target-unreachable", "scaling.target", "never lets it reach", {"concurrency": 5, "scaling": {"target": 9.5}}),
    Bad("grace-negative", "scaling.idleGrace", "must be from 0", {"scaling": {"idleGrace": -1}}),
    Bad("scaling-text", "scaling", "must be an object", {"scaling": "lots"}),
    Bad("memory-small", "resources.memory", "must be at least 16Mi", {"resources": {"memory": "1Mi"}}),
    Bad("memory-words", "resources.memory", "", {"resources": {"memory": "much"}}),
    Bad("cpu-none", "resources.cpu", "must be at least 10m", {"resources": {"cpu": "1m"}}),
    Bad("timeout-negative", "timeout", "must be from 0", {"timeout": -1}),
    Bad("timeout-days", "timeout", "must be from 0 to 86400", {"timeout": 100000, "drainTimeout": 100000}),
    Bad("timeout-text", "timeout", "must be a number, was text", {"timeout": "1m"}),
    Bad("duration-short", "maxDuration", "shorter than timeout", {"maxDuration": 10, "timeout": 60}),
    Bad("drain-short", "drainTimeout", "shorter than timeout", {"drainTimeout": 10, "timeout": 60}),
    Bad("concurrency-huge", "concurrency", "must be from 0 to 10000", {"concurrency": 20000}),
    Bad("queue-negative", "queueLimit", "must be from 0", {"queueLimit": -1}),
    Bad("body-negative", "bodyLimit", "must be from 0", {"bodyLimit": -1}),
    Bad("sticky-words", "sticky", 'must be "cookie:NAME" or "header:NAME"', {"sticky": "session"}),
    Bad("abort-words", "clientAbort", "must be empty or fin", {"clientAbort": "rst"}),
    Bad("upgrade-capitals", "upgrades[0]", "is not the name of a protocol", {"upgrades": ["WebSocket"]}),
    Bad("event-silent", "triggers", "needs at least one", {"type": "EVENT"}),
    Bad("http-triggered", "triggers", "must be empty", {"triggers": [{"broker": "nats", "subject": "a"}]}),
    Bad("trigger-empty", "triggers[0].subject", "is empty", {"type": "EVENT", "triggers": [{"broker": "nats", "subject": " "}]}),
    Bad("no-runtime", "runtime", "is missing", without=("runtime",)),
    Bad("no-source", "source", "is missing", without=("source",)),
    Bad("source-beside-image", "source", "must be absent with an image", {"image": "nginx:1"}),
    Bad("image-words", "image", "is not the name of an image", {"image": "Not An Image"}, without=("runtime", "source")),
    Bad("port-without-image", "port", "must be absent without an image", {"port": 80}),
    Bad("git-address", "git.url", "is not the address of a repository", {"git": {"url": "here"}}, without=("source",)),
    Bad("git-password", "git.url", "put them into a Secret", {"git": {"url": "https://me:pw@x.example/r"}}, without=("source",)),
    Bad(
        "git-out",
        "git.path",
        "is not a path inside",
        {"git": {"url": "https://x.example/r", "path": "../a"}},
        without=("source",),
    ),
    Bad("deploy-maybe", "deploy", "must be auto or manual", {"deploy": "later"}),
    Bad("replicas-negative", "replicas", "must be from 0 to 1000", {"replicas": -1}),
    Bad("secret-name", "envFrom[0]", "is not the name of a Secret", {"envFrom": ["My Secret"]}),
    Bad("traffic-90", "traffic", "must add up to 100 percent, was 90", {"traffic": [{"percent": 90}]}),
    Bad(
        "traffic-of-others",
        "traffic[0].revision",
        "is no revision of hello",
        {"traffic": [{"revision": "b-00001", "percent": 100}]},
    ),
    Bad("unknown-field", "scalng", "did you mean scaling", {"scalng": {}}, by_schema=True),
    Bad("unknown-inner", "scaling.maximum", "is not a field", {"scaling": {"maximum": 3}}, by_schema=True),
)

# Documents that are fine: what they leave out is filled in.
GOOD: dict[str, dict[str, Any]] = {
    "plain": {},
    "python": {"runtime": "python"},
    "entry": {"entry": "src/app.js"},
    "bounds": {"scaling": {"min": 1, "max": 3}},
    "rate": {"scaling": {"metric": "rps", "target": 50}},
    "unproven": {"scaling": {"initial": 0}},
    "small": {"resources": {"memory": "64Mi"}},
    "slow": {"timeout": 900, "drainTimeout": 900},
    "single": {"concurrency": 1},
    "event": {"type": "EVENT", "triggers": [{"broker": "nats", "subject": "orders"}]},
    "pinned": {"replicas": 2},
    "careful": {"queueLimit": 10, "bodyLimit": 1 << 33, "sticky": "cookie:s", "clientAbort": "fin", "upgrades": []},
    "manual": {"deploy": "manual"},
    "variables": {"env": {"GREETING": "hello"}},
}
