"""Admission of schemas and validation of answers, with what may be slow in killable processes."""
