"""The way to an API server that a process was told of: a kubeconfig where one is named, its pod's service account else."""

from __future__ import annotations

from collections.abc import Mapping

from kube.access import Access, InCluster


async def access_to(path: str, context: str, environ: Mapping[str, str]) -> Access:
    """`path`: of the kubeconfig; "" = $KUBECONFIG's, and without it the pod's service account. Raises BadAccess."""
    if not (named := path or environ.get("KUBECONFIG", "")):
        return InCluster(environ)
    from kube.kubeconfig import Kubeconfig  # 55 MiB that a process in a pod never needs

    return await Kubeconfig.load(named, context)
