"""A Ray on this machine for sweeps that run in the tests' own process."""

import ray

CORES = 2


def connect():
    """Connects this process to a local Ray of ``CORES`` cores and next to no memory, started where there is none."""
    if not ray.is_initialized():
        ray.init(
            address="local",
            num_cpus=CORES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 * 2**20,
        )
