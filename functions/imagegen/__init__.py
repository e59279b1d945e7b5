"""AI image generation paid in credits: the backend behind the functions in ``main.py``.

Imports run one way: ``api`` → ``services`` and ``reports`` → ``domain``, ``documents`` → ``ports``. ``adapters``
implement the ports. ``bootstrap`` wires everything together.
"""
