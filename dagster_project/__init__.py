"""The code location: turns configs into assets, checks, jobs, schedules and sensors."""
