"""The pods that a platform in a cluster is compared with, as manifests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.kube.names import FUNCTION
from controller.kube.render import PORT

Manifest = dict[str, Any]

PART = {"app.kubernetes.io/part-of": "cloudbase-loadtest"}
NGINX = "loadtest-nginx"
NGINX_PORT = 8080
FOLDER = "/tmp"  # of the container: an emptyDir, the one place where nginx may write


def bare(name: str, deployment: Mapping[str, Any]) -> Manifest:
    """The pod that this Deployment would make, by itself: no Service, no ReplicaSet knows it."""
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return {"metadata": {"name": name, "labels": PART}, "spec": {**spec, "restartPolicy": "Never"}}


def port(deployment: Mapping[str, Any]) -> int:
    """Where its program listens."""
    ports = deployment["spec"]["template"]["spec"]["containers"][0].get("ports") or [{}]
    return int(ports[0].get("containerPort", PORT))


def of_function(name: str) -> str:
    """Selector of a function's Deployments and pods."""
    return f"{FUNCTION}={name}"


def nginx(image: str) -> Manifest:
    """nginx with the configuration of the ConfigMap NGINX."""
    return {
        "metadata": {"name": NGINX, "labels": PART},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "nginx",
                    "image": image,
                    "command": ["nginx", "-c", "/etc/loadtest/nginx.conf", "-p", FOLDER],
                    "ports": [{"name": "http", "containerPort": NGINX_PORT, "protocol": "TCP"}],
                    "readinessProbe": {"tcpSocket": {"port": NGINX_PORT}, "periodSeconds": 1},
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},  # a router's
                    "securityContext": {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "configuration", "mountPath": "/etc/loadtest", "readOnly": True},
                        {"name": "scratch", "mountPath": FOLDER},
                    ],
                }
            ],
            "volumes": [
                {"name": "configuration", "configMap": {"name": NGINX}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}},
            ],
        },
    }  # fmt: skip


def configured(text: str) -> Manifest:
    """The ConfigMap."""
    return {"metadata": {"name": NGINX, "labels": PART}, "data": {"nginx.conf": text}}
