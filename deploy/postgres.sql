-- The other databases. POSTGRES_DB in docker-compose.yml makes the first one, dagster.
CREATE DATABASE mlflow;
CREATE DATABASE studies;
