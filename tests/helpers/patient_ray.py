"""Time for Ray's nodes to start on a busy machine."""

import time

from ray._private import services

_SECONDS = 240.0


def give_time():
    """Has each node that this process starts take as long as a busy machine needs; Ray gives it up after 30 seconds.

    Ray has no setting for it: it asks for the node until it is there, and looks at the clock between two questions.
    """
    ask = services.get_node

    def get_node(gcs_address, node_id):
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                return ask(gcs_address, node_id)
            except RuntimeError:  # it is not there yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    services.get_node = get_node
