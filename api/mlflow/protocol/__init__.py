"""The form of MLflow's requests, answers, errors, names and filters; free of the database."""
