"""Three brokers under random faults, and a checker of what their clients saw.

In the spirit of Jepsen: clients note what they asked and what they were told, a nemesis breaks
things meanwhile, and afterwards the whole history is judged against what the database has.
`history` is what is noted, `checker` the judgement (pure), `faults` the nemesis, `clients` those
who work and watch, `world` the processes. `python -m tests.long.jepsen` runs it for long.
"""
