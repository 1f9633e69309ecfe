"""A Ray on this machine for sweeps that run in the tests' own process."""

import contextlib

import ray

CORES = 2


@contextlib.contextmanager
def local_ray():
    """Runs a Ray of ``CORES`` cores and next to no memory for the block, and connects this process to it."""
    ray.init(
        address="local",
        num_cpus=CORES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    try:
        yield
    finally:
        ray.shutdown()
