"""A file of experiments: rows of tables, the trainings that they need, their results, and tables, charts, pictures."""
