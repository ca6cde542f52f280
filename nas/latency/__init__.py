"""Latency of a network on a device, with an interval and a status: ``nas.latency.measure`` and the command line."""
