"""What the broker is compared with: other ways to do the same job, written well."""
