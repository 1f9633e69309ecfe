"""Search spaces, per-category Optuna studies, and the Ray Tune run over all of them."""
