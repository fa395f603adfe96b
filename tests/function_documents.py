"""Function documents that cannot work, each with field and words, and some that can: one table for every door they come by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DIGEST = f"sha256:{'a' * 64}"
GOOD_SPEC: dict[str, Any] = {"runtime": "node", "source": DIGEST}


@dataclass(frozen=True)
class Bad:
    """One document and what is wrong with it."""

    id: str
    field: str
    words: str  # a part of the message
    spec: dict[str, Any] = field(default_factory=dict)  # laid over GOOD_SPEC
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
    Bad("event-silent", "triggers", "needs at least one", {"type": "EVENT"}),
    Bad("http-triggered", "triggers", "must be empty", {"triggers": [{"broker": "nats", "subject": "a"}]}),
    Bad("trigger-empty", "triggers[0].subject", "is empty", {"type": "EVENT", "triggers": [{"broker": "nats", "subject": " "}]}),
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
    "variables": {"env": {"GREETING": "hello"}},
}
