"""What the service has heard: events, their files and their log."""
