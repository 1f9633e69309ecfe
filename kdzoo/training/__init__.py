"""The loop over a method's stages, checkpoints, evaluation and calibration. Knows no method, sweep or tracker."""
