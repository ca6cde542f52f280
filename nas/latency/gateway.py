"""Measurements on another device from within a Ray cluster: on the machine that is the device's gateway, if one is.

The gateway is started with the device as a custom resource, ``device:`` and the address that the search is given:

    ray start --address HEAD:6379 --resources '{"device:ssh:pi@10.0.0.7": 1}'

Ray then queues the measurements for it, one at a time, and only that machine has to reach the device. Elsewhere the
machine that trains connects itself, and measurements queue on the device.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from nas.latency import remote
from search_spaces import Arch, UserError
from studies.ledger import Latency
from studies.spec import LatencySpec

POLL_S = 2.0  # between two looks whether the gateway is still there
T = TypeVar("T")


def resource_of(address: str) -> str:
    """The name of the custom resource that stands for the device at ``address``."""
    return f"device:{address}"


def measure_remote(network: nn.Module | Arch, resolution: int, spec: LatencySpec, address: str) -> Latency:
    """``nas.latency.remote.measure_remote``, on the gateway where there is one."""
    if isinstance(network, nn.Module):  # the gateway may have no GPU to unpickle it on
        network = copy.deepcopy(network).to("cpu")
    return _on_gateway(address, remote.measure_remote, network, resolution, spec, address)


def ready(spec: LatencySpec, address: str) -> dict[str, Any]:
    """``nas.latency.remote.ready``, on the gateway where there is one."""
    return _on_gateway(address, remote.ready, spec, address)


def _on_gateway(address: str, function: Callable[..., T], *arguments: Any) -> T:
    ray = sys.modules.get("ray")  # a process that has not imported it is in no cluster
    resource = resource_of(address)
    if not (ray and ray.is_initialized() and resource in ray.cluster_resources()):
        return function(*arguments)
    task = ray.remote(num_cpus=0, resources={resource: 1}, max_retries=0)(function).remote(*arguments)
    while not ray.wait([task], timeout=POLL_S)[0]:
        if resource not in ray.cluster_resources():  # Ray would wait for another one for ever
            ray.cancel(task, force=True)
            raise UserError(f"device: {address}: its gateway has left the cluster")
    try:
        found: T = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:  # the gateway died
        raise UserError(f"device: {address}: its gateway failed: {str(error).splitlines()[0]}") from None
    return found
