from tests.validation.workers import pool

__all__ = ["pool"]
