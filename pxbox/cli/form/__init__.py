"""A schema as questions to a person: pure, without a terminal.

`walk` asks by yielding a `Question` and is sent the reply; who drives it draws the question. It
never puts a value into the answer that was not given: what is optional can be skipped, a `const` is
confirmed, a `default` is only what an input line starts with.
"""
