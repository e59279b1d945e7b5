"""The deterministic simulation: the real services on a virtual clock, where one seed decides everything.

``store`` is the stand-in for Firestore, ``scheduler`` runs the actors, ``faults`` and ``network`` are what goes wrong,
``calls`` is what clients do, ``checks`` what must hold in the end, and ``world`` puts them together.
"""
