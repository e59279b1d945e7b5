"""AI image generation paid in credits: the product behind the functions in ``main.py``.

Dependencies point one way: ``entry`` (callables, schedule, validation) → ``services`` (the money path, credits,
the weekly report) → ``domain`` (credits, ledger, requests, catalog, weeks). Firestore sits behind ``database``,
the models behind ``generators``; ``bootstrap`` wires them together.
"""
