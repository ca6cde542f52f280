"""On a Ray cluster, measurements run on the machine that offers the device as a resource, one at a time."""

import itertools
import os
import sys
import time

import pytest
from devices import SMALL

from nas.latency import gateway
from search_spaces import UserError
from search_spaces.build import build_model

pytest.importorskip("ray")
ADDRESS = "local:"


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine, of which the second is the gateway."""
    from ray.cluster_utils import Cluster

    from studies import cluster as settings

    ray = settings.ray
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    made.add_node(num_cpus=1, resources={gateway.resource_of(ADDRESS): 1})
    ray.init(made.address, log_to_driver=False, logging_level="ERROR")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield ray
    ray.shutdown()
    made.shutdown()


def where(begun):
    """The node and process that ran it, from when to when."""
    import ray

    start = time.time()
    time.sleep(0.2)
    return ray.get_runtime_context().get_node_id(), os.getpid(), start, time.time()


def is_busy(seconds):
    time.sleep(seconds)


def refuse():
    raise UserError("device: it has no onnxruntime")


def test_measurements_queue_at_the_gateway(cluster):
    gateways = [node["NodeID"] for node in cluster.nodes() if gateway.resource_of(ADDRESS) in node["Resources"]]

    @cluster.remote(num_cpus=0)
    def trial():
        return gateway._on_gateway(ADDRESS, where, 0)

    cluster.get(trial.remote())  # workers are up
    found = sorted(cluster.get([trial.remote() for _ in range(3)]), key=lambda run: run[2])
    assert {node for node, *_ in found} == set(gateways)
    assert all(earlier[3] <= later[2] for earlier, later in itertools.pairwise(found))


def weights_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_a_network_travels_there(cluster):
    model = build_model(SMALL, 10)
    assert gateway._on_gateway(ADDRESS, weights_of, model) == weights_of(model)


def test_its_mistakes_are_the_caller_s(cluster):
    with pytest.raises(UserError, match="it has no onnxruntime"):
        gateway._on_gateway(ADDRESS, refuse)


def test_a_gateway_that_goes_ends_nothing(cluster, monkeypatch):
    """Its measurements wait for another one; here the cluster forgets that it has one while the device is busy."""
    monkeypatch.setattr(gateway, "POLL_S", 0.1)
    present, calls = cluster.cluster_resources(), []

    def resources():
        calls.append(0)
        return present if len(calls) < 3 else {}

    monkeypatch.setattr(cluster, "cluster_resources", resources)
    with pytest.raises(UserError, match="device: local:: its gateway has left the cluster"):
        gateway._on_gateway(ADDRESS, is_busy, 30)


def test_without_a_gateway_it_runs_here(cluster):
    assert gateway._on_gateway("ssh:elsewhere", os.getpid) == os.getpid()
