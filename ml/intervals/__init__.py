"""How sure a figure is: bootstrap, calibration, conformal intervals, thresholds."""
