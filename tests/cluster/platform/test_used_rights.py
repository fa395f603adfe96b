"""The platform asked the API server for nothing that the chart does not allow it, and is allowed nothing that it did not ask for.

The last file of the folder: what the tests before it made the platform do is in the audit log.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cluster.platform.installed import Platform, kubectl
from tests.cluster.shared.audit import Right, asked_by, audit_log, forbidden, moment, right, rights
from tests.cluster.shared.router_on_a_cluster import MARKS

pytestmark = MARKS

# Rights that no test of this folder has any use for, and what they are for.
EXPLAINED: dict[Right, str] = {
    ("cloudbase.dev", "functions", "delete"): "the management API, as tests/cluster/api shows",
    (
        "cloudbase.dev",
        "functions/finalizers",
        "update",
    ): "to be named as an owner where an admission plugin checks that; never sent",
    ("cloudbase.dev", "revisions", "get"): "a revision that another controller made a moment before",
    ("", "configmaps", "delete"): "sources and results that nobody has referred to for ten minutes",
    ("events.k8s.io", "events", "patch"): "an Event that comes again",
}


def allowed(platform: Platform, component: str) -> set[Right]:
    sections = yaml.safe_load((platform.chart / f"rbac/{component}.yaml").read_text())
    return rights(rule for rules in sections.values() for rule in rules)


def used(platform: Platform, component: str) -> tuple[set[Right], set[Right]]:
    """What a part of this release asked for since it was installed, and what RBAC refused since its rights were given."""
    given = kubectl(
        "get", "clusterrolebinding", f"{platform.release}-{component}", "-o", "jsonpath={.metadata.creationTimestamp}"
    )
    asked, refused = set(), set()
    for entry in asked_by(f"system:serviceaccount:{platform.namespace}:{platform.release}-{component}", audit_log()):
        made = moment(entry["requestReceivedTimestamp"])
        if made >= platform.since:
            asked.add(right(entry))
            if made > moment(given) and forbidden(entry):
                refused.add(right(entry))
    return asked, refused


@pytest.mark.parametrize("component", ["router", "controller"])
def test_nothing_was_asked_for_that_is_not_allowed_and_nothing_is_allowed_in_vain(
    platform: Platform, component: str, request: pytest.FixtureRequest
) -> None:
    asked, refused = used(platform, component)
    assert asked and refused == set()
    given = allowed(platform, component)
    assert asked - given == set()
    # A server-side apply that creates needs `create` and is audited as `patch`.
    applied = {(group, resource, "create") for group, resource, verb in asked if verb == "patch"}
    vain = given - asked - applied - EXPLAINED.keys()
    print("\n".join(" ".join(each) for each in sorted(vain)))
    whole = {path.name for path in Path(__file__).parent.glob("test_*.py")} <= {item.path.name for item in request.session.items}
    if component == "controller" and whole:  # of a router's rights router/test_rights.py uses every one
        assert vain == set()
