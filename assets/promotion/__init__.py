"""The way into production: requests, decisions, the champion."""
