"""How to choose the next configuration: Optuna studies, samplers, turns, warm starts. Knows no Ray."""
