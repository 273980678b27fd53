"""The certainty of figures: bootstrap, calibration, conformal intervals, thresholds."""
