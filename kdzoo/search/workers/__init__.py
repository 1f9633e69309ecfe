"""What runs on the nodes of a cluster, and what is known of them."""
