"""The CustomResourceDefinitions, made from the same structs that the API reads; `python -m controller.kube.crd DIR` writes them.

What the schema cannot say is told by CEL, and all of it once more, in the API's words, by the webhook. `kubectl explain`
says of a setting what docs/function.md says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from controller import validate
from controller.kube.names import GROUP, VERSION
from controller.kube.schema import Schema, schema
from controller.model import FunctionSpec, FunctionStatus, Revision

PAGE = Path(__file__).parents[2] / "docs" / "function.md"
_SECONDS: Schema = {"minimum": 0, "maximum": validate.SECONDS}
_BYTES: Schema = {"format": "int64", "minimum": 0, "maximum": validate.BYTES}
_REPLICAS: Schema = {"minimum": 0, "maximum": validate.REPLICAS}
_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_SECRET_NAMES: Schema = {"maxItems": 16, "x-kubernetes-list-type": "set"}

SPEC: dict[str, Schema] = {
    "": {
        "x-kubernetes-validations": [
            {
                "rule": "has(self.image) && size(self.image) > 0 || has(self.runtime) && size(self.runtime) > 0",
                "message": "runtime is missing: use node, python or dockerfile, or give an image",
            },
            {
                "rule": "!(has(self.image) && size(self.image) > 0) || !(has(self.source) && size(self.source) > 0)"
                " && !has(self.git) && !(has(self.runtime) && size(self.runtime) > 0)",
                "message": "runtime, source and git must be absent with an image, which is run as it is",
            },
            {
                "rule": "!has(self.traffic) || size(self.traffic) == 0 || self.traffic.map(t, t.percent).sum() == 100",
                "message": "traffic must add up to 100 percent",
                "fieldPath": ".traffic",
            },
            {
                "rule": "self.type == 'EVENT' ? has(self.triggers) && size(self.triggers) > 0"
                " : !has(self.triggers) || size(self.triggers) == 0",
                "message": "a function of type EVENT needs triggers, one of type HTTP has none",
            },
        ]
    },
    "source": {"pattern": r"^(sha256:[0-9a-f]{64})?$", "description": "digest of the files that were sent to the API"},
    "image": {"maxLength": 1024},
    "entry": {"maxLength": 1024},
    "env": {"maxProperties": 1000},
    "env{}": {"maxLength": validate.ENV_VALUE_BYTES},
    "envFrom": _SECRET_NAMES,
    "envFrom[]": {"maxLength": 253},
    "imagePullSecrets": _SECRET_NAMES,
    "imagePullSecrets[]": {"maxLength": 253},
    "port": {"minimum": 0, "maximum": 65535},
    "replicas": _REPLICAS,
    "traffic": {"maxItems": 20},
    "traffic[].percent": {"minimum": 1, "maximum": 100},
    "traffic[].revision": {"maxLength": 63},
    "triggers": {"maxItems": 100},
    "resources": {"description": "limits of one replica"},
    "scaling": {
        "description": "how many replicas there are",
        "x-kubernetes-validations": [
            {"rule": "self.min <= self.max", "message": "min is above max", "fieldPath": ".min"},
            {"rule": "self.initial <= self.max", "message": "initial is above max", "fieldPath": ".initial"},
        ],
    },
    "scaling.min": _REPLICAS,
    "scaling.max": {"minimum": 1, "maximum": validate.REPLICAS},
    "scaling.initial": _REPLICAS,
    "scaling.idleGrace": _SECONDS,
    "scaling.target": {"minimum": 0, "maximum": 1_000_000},
    "timeout": _SECONDS,
    "idleTimeout": _SECONDS,
    "maxDuration": _SECONDS,
    "drainTimeout": _SECONDS,
    "concurrency": {"minimum": 0, "maximum": validate.CONCURRENCY},
    "queueLimit": {"minimum": 0, "maximum": validate.WAITING},
    "queueBytes": _BYTES,
    "bodyLimit": _BYTES,
    "sticky": {"maxLength": 256},
    "upgrades": {"maxItems": 16},
    "upgrades[]": {"maxLength": 64},
}
STATUS: dict[str, Schema] = {
    "conditions": {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "description": "Built, Deployed, Routed and Ready; Subscribed of type EVENT. Each with its reason in words",
    },
    "observedGeneration": {"format": "int64", "description": "the generation of the spec that all of this is about"},
    "revision": {"description": "that has the most traffic"},
    "replicas": {"description": "that are ready"},
    "wanted": {"description": "replicas that the autoscaler asked for"},
    "url": {"description": "where the routers serve it"},
    "traffic": {"description": "shares of the requests as they are now"},
    "build": {"description": "what became of the last build"},
    "build.artifact": {"description": "the image, by digest; empty where the build failed"},
    "build.commit": {"description": "of a git source: what its ref meant then"},
    "build.seconds": {"description": "that it took"},
    "build.cached": {"description": "whether it was found done"},
    "build.log": {"description": "its last lines"},
    "build.failure": {"description": "why there is no image"},
}


def explanations(page: str) -> dict[str, str]:
    """What docs/function.md says of each key of the spec, without markup."""
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| (?:.*? )?\| (.*) \|$", page, re.MULTILINE)
    return {key: re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "") for key, text in rows}


def function(explained: Mapping[str, str]) -> dict[str, Any]:
    """functions.cloudbase.dev; `explained` has words for keys of its spec."""
    status = schema(FunctionStatus, STATUS, defaults=False)
    status["properties"]["selector"] = {"type": "string", "description": "of the function's pods, for /scale"}
    columns = [
        _column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
        _column("URL", "string", ".status.url"),
        _column("Replicas", "integer", ".status.replicas"),
        _column("Revision", "string", ".status.revision"),
        _column("Age", "date", ".metadata.creationTimestamp"),
        _column("Message", "string", '.status.conditions[?(@.type=="Ready")].message', priority=1),
    ]
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    described: dict[str, Schema] = {key: {"description": text} for key, text in explained.items()}
    more = {key: described.get(key, {}) | SPEC.get(key, {}) for key in described.keys() | SPEC.keys()}
    properties = {"spec": schema(FunctionSpec, more), "status": status}
    name = {
        "rule": f"size(self.metadata.name) <= {validate.NAME_LENGTH} && self.metadata.name.matches('{_LABEL}')",
        "message": f"name must be a DNS label of at most {validate.NAME_LENGTH} characters, as its revisions' names have to be",
    }
    whole = _whole(properties, "What somebody wants to run: source or image, and how it is scaled.", [name])
    return _definition("Function", ["fn"], whole, columns, {"status": {}, "scale": scale})


def revision() -> dict[str, Any]:
    """revisions.cloudbase.dev: what a function was at some time, for good."""
    spec = schema(FunctionSpec, {}, defaults=False)
    fixed = {field.encode_name: field for field in msgspec.structs.fields(Revision)}
    properties: Schema = {
        "function": {"type": "string"},
        "spec": spec,
        **{name: schema(fixed[name].type, {}, defaults=False) for name in ("generation", "artifact", "createdAt")},
    }
    properties["generation"]["format"] = "int64"
    immutable = [{"rule": "self == oldSelf", "message": "a revision is what it was: change the function instead"}]
    columns = [
        _column("Function", "string", ".spec.function"),
        _column("Generation", "integer", ".spec.generation"),
        _column("Proven", "date", ".status.provenAt"),
        _column("Age", "date", ".metadata.creationTimestamp"),
        _column("Artifact", "string", ".spec.artifact", priority=1),
    ]
    whole = _whole(
        {
            "spec": {
                "type": "object",
                "required": ["function", "generation", "artifact", "spec"],
                "properties": properties,
                "x-kubernetes-validations": immutable,
            },
            "status": {"type": "object", "properties": {"provenAt": {"type": "string"}}},
        },
        "One image with the settings that a function had; made and dropped by the controller.",
    )
    return _definition("Revision", [], whole, columns, {"status": {}})


def _whole(properties: Schema, description: str, rules: list[Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **properties,
        },
        **({"x-kubernetes-validations": rules} if rules else {}),
    }


def _definition(
    kind: str, short: list[str], whole: Schema, columns: list[Schema], subresources: dict[str, Any]
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": whole},
        "subresources": subresources,
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                **({"shortNames": short} if short else {}),
                "categories": ["cloudbase"],
            },
            "versions": [version],
        },
    }


def _column(name: str, kind: str, path: str, priority: int = 0) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}


def files() -> dict[str, str]:
    """File name -> YAML, as the chart has them."""
    import yaml  # a tool of those who work on this; the controller never writes YAML

    head = "# Made by `python -m controller.kube.crd helm/cloudbase/crds`.\n"
    return {
        f"{each['metadata']['name']}.yaml": head + yaml.safe_dump(each, sort_keys=False, width=120, allow_unicode=True)
        for each in (function(explanations(PAGE.read_text())), revision())
    }


def main(arguments: list[str]) -> int:
    """Write the files into the folder that is named. Exit status 2 when none is."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print("usage: python -m controller.kube.crd FOLDER", file=sys.stderr)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    for name, content in files().items():
        (Path(arguments[0]) / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
