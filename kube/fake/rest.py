"""The API server's verbs on the store: what each does, and what it refuses with which Status. No socket in here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kube.fake import patch as patches
from kube.fake.store import Collection, Identity, Manifest, Store, now

DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # RFC 1123 subdomain
WITH_STATUS = {"deployments", "pods", "services", "functions", "namespaces", "replicasets"}  # kinds with a status subresource


class Refused(Exception):
    """Answered with a Status."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = details

    def status(self) -> Manifest:
        details = {"details": self.details} if self.details else {}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": str(self),
                "reason": self.reason, "code": self.code, **details}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL path names."""

    api_version: str
    collection: Collection
    namespace: str
    name: str
    subresource: str

    @property
    def identity(self) -> Identity:
        return (self.namespace, self.name)

    @property
    def title(self) -> str:
        group, plural = self.collection
        return (f"{plural}.{group}" if group else plural) + (f"/{self.subresource}" if self.subresource else "")


class Rest:
    """Verbs on one object each; lists and watches are the server's."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._owners: dict[tuple[Collection, Identity], dict[str, set[patches.Path]]] = {}  # field managers' fields

    def get(self, target: Target) -> Manifest:
        return _as_scale(self._live(target)) if target.subresource == "scale" else self._live(target)

    def create(self, target: Target, body: Manifest, query: Mapping[str, str]) -> Manifest:
        metadata = dict(body.get("metadata") or {})
        if "generateName" in metadata and not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        name = metadata.get("name", "")
        _check_name(target, name)
        if target.namespace:
            metadata["namespace"] = target.namespace
        metadata.pop("resourceVersion", None)
        identity = (target.namespace, name)
        if self.store.get(target.collection, identity) is not None:
            raise Refused(409, "AlreadyExists", f'{target.title} "{name}" already exists')
        body = {**body, "metadata": metadata}
        self._own(target.collection, identity, query.get("fieldManager", "unknown"), set(patches.owned(body)))
        return self.store.put(target.collection, self._with_managers(target.collection, identity, body))

    def update(self, target: Target, body: Manifest, query: Mapping[str, str]) -> Manifest:
        live = self._live(target)
        if target.subresource == "scale":
            return self._scale(target, live, body, query)
        return self._write(target, live, body, query)

    def merge(self, target: Target, patch: Manifest, query: Mapping[str, str]) -> Manifest:
        live = self._live(target)
        if target.subresource == "scale":
            return self._scale(target, live, patches.merge(_as_scale(live), patch), query)
        return self._write(target, live, patches.merge(live, patch), query)

    def apply(self, target: Target, wanted: Manifest, query: Mapping[str, str]) -> Manifest:
        """Server-side apply: conflicts only over fields whose value would change, as the real one."""
        manager = query.get("fieldManager", "")
        if not manager:
            raise Refused(400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        if (wanted.get("metadata") or {}).get("name") != target.name:
            raise Refused(400, "BadRequest", f"the name of the object ({target.name} based on URL) was undeterminable")
        claims = patches.owned(wanted)
        live = self.store.get(target.collection, target.identity)
        if live is None:
            if target.subresource:
                raise _missing(target)
            return self.create(target, wanted, query)
        owners = self._owners.setdefault((target.collection, target.identity), {})
        self._settle(target, live, claims, manager, forced=query.get("force") == "true")
        others = set().union(*(fields for name, fields in owners.items() if name != manager))
        given_up = owners.get(manager, set()) - set(claims) - others
        result = patches.apply(live, wanted, given_up)
        owners[manager] = set(claims)
        return self._write(target, live, result, {}, claim=False)

    def delete(self, target: Target, options: Manifest) -> Manifest:
        live = self._live(target)
        conditions = options.get("preconditions") or {}
        for field in ("uid", "resourceVersion"):
            if field in conditions and conditions[field] != live["metadata"][field]:
                raise Refused(409, "Conflict", f"the {field} in the precondition ({conditions[field]}) is not the object's")
        if live["metadata"].get("finalizers"):
            if "deletionTimestamp" not in live["metadata"]:
                self.store.put(target.collection, {**live, "metadata": {**live["metadata"], "deletionTimestamp": now()}})
            return self._live(target)
        return self._remove(target.collection, target.identity)

    # --- private ---

    def _live(self, target: Target) -> Manifest:
        live = self.store.get(target.collection, target.identity)
        if live is None:
            raise _missing(target)
        return live

    def _write(self, target: Target, live: Manifest, body: Manifest, query: Mapping[str, str], claim: bool = True) -> Manifest:
        _check_version(target, live, body)
        wanted = _only_what_may_change(target, live, body)
        if claim:
            self._claim_changes(target, live, wanted, query.get("fieldManager", "unknown"))
        wanted = self._with_managers(target.collection, target.identity, wanted)
        if wanted == live:
            return live  # a write that changes nothing makes no new version
        if wanted.get("spec") != live.get("spec"):
            wanted["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
        stored = self.store.put(target.collection, wanted)
        if "deletionTimestamp" in stored["metadata"] and not stored["metadata"].get("finalizers"):
            return self._remove(target.collection, target.identity)
        return stored

    def _scale(self, target: Target, live: Manifest, scale: Manifest, query: Mapping[str, str]) -> Manifest:
        plain = Target(target.api_version, target.collection, target.namespace, target.name, "")
        _check_version(plain, live, scale)
        replicas = scale["spec"]["replicas"]
        if replicas != live.get("spec", {}).get("replicas"):
            self._hand_over_replicas(plain, query.get("fieldManager", "unknown") if replicas else "")
        body = {**live, "spec": {**live.get("spec", {}), "replicas": replicas}}
        return _as_scale(self._write(plain, live, body, {}, claim=False))

    def _hand_over_replicas(self, target: Target, manager: str) -> None:
        """As a real server does for /scale: nobody becomes the owner where nobody was, nor of zero replicas."""
        owners = self._owners.setdefault((target.collection, target.identity), {})
        path = ("spec", "replicas")
        had_owner = any(path in fields for fields in owners.values())
        for fields in owners.values():
            fields.discard(path)
        if had_owner and manager:
            owners.setdefault(manager, set()).add(path)

    def _remove(self, collection: Collection, identity: Identity) -> Manifest:
        last = self.store.remove(collection, identity)
        self._owners.pop((collection, identity), None)
        self._collect_garbage(last["metadata"]["uid"])
        return last

    def _collect_garbage(self, uid: str) -> None:
        """What the garbage collector does: delete what only the deleted object owned."""
        for collection, identity, item in self.store.everything():
            owners = item["metadata"].get("ownerReferences") or []
            if owners and all(owner.get("uid") == uid for owner in owners):
                self._remove(collection, identity)

    def _settle(self, target: Target, live: Manifest, claims: dict[patches.Path, Any], manager: str, forced: bool) -> None:
        """Refuse to change what others own, or take it from them."""
        owners = self._owners[target.collection, target.identity]
        present = patches.owned(live)
        changed = {path for path, value in claims.items() if path in present and present[path] != value}
        causes = []
        for other, fields in owners.items():
            for path in sorted(fields & changed, key=patches.dotted) if other != manager else ():
                message = f'conflict with "{other}" using {target.api_version}'
                causes.append({"reason": "FieldManagerConflict", "message": message, "field": patches.dotted(path)})
        if causes and not forced:
            message = (
                f"Apply failed with {len(causes)} conflict{'s' * (len(causes) > 1)}: {causes[0]['message']}: {causes[0]['field']}"
            )
            raise Refused(409, "Conflict", message, causes=causes)
        for other in owners:
            if other != manager:
                owners[other] -= changed

    def _claim_changes(self, target: Target, live: Manifest, wanted: Manifest, manager: str) -> None:
        before, after = patches.owned(live), patches.owned(wanted)
        changed = {path for path, value in after.items() if before.get(path, _MISSING) != value}
        ignored = {path for path in changed if path[:2] == ("metadata", "managedFields")}
        self._own(target.collection, target.identity, manager, changed - ignored)

    def _own(self, collection: Collection, identity: Identity, manager: str, fields: set[patches.Path]) -> None:
        owners = self._owners.setdefault((collection, identity), {})
        for other in owners.values():
            other -= fields
        owners[manager] = owners.get(manager, set()) | fields

    def _with_managers(self, collection: Collection, identity: Identity, manifest: Manifest) -> Manifest:
        """metadata.managedFields as far as they are kept here: who owns spec.replicas."""
        owners = self._owners.get((collection, identity), {})
        entries = [
            {"manager": name, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
            for name, fields in owners.items()
            if ("spec", "replicas") in fields
        ]
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
        return {**manifest, "metadata": {**metadata, **({"managedFields": entries} if entries else {})}}


_MISSING = object()


def _missing(target: Target) -> Refused:
    return Refused(404, "NotFound", f'{target.title} "{target.name}" not found')


def _check_version(target: Target, live: Manifest, body: Manifest) -> None:
    version = (body.get("metadata") or {}).get("resourceVersion")
    if version and version != live["metadata"]["resourceVersion"]:
        message = f'Operation cannot be fulfilled on {target.title} "{target.name}": the object has been modified'
        raise Refused(409, "Conflict", message)


def _check_name(target: Target, name: str) -> None:
    if not DNS_NAME.fullmatch(name) or len(name) > 253:
        cause = {"reason": "FieldValueInvalid", "message": "a lowercase RFC 1123 subdomain is needed", "field": "metadata.name"}
        raise Refused(422, "Invalid", f'{target.title} "{name}" is invalid: metadata.name: Invalid value', causes=[cause])


def _only_what_may_change(target: Target, live: Manifest, body: Manifest) -> Manifest:
    """The main resource leaves the status alone, /status everything else; identity and history are never the writer's."""
    if target.subresource == "status":
        body = {**live, "status": body.get("status", {})}
    elif target.collection[1] in WITH_STATUS:
        body = {key: value for key, value in body.items() if key != "status"}
        body |= {"status": live["status"]} if "status" in live else {}
    fixed = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp")
    metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key not in fixed}
    return {**body, "metadata": {**metadata, **{key: live["metadata"][key] for key in fixed if key in live["metadata"]}}}


def _as_scale(live: Manifest) -> Manifest:
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion") if key in live["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": live.get("spec", {}).get("replicas", 1)},
        "status": {"replicas": live.get("status", {}).get("replicas", 0)},
    }
