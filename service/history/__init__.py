"""The history that the service has heard of: events, their files and their log."""
