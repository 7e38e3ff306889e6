"""PostgreSQL: the journal (writes), the views (reads), the schema of the database."""
