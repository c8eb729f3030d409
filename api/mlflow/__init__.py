"""MLflow's tracking REST API on the service: an MLflow run is a job of origin `mlflow`, its metrics are curves."""
