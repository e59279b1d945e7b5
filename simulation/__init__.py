"""The deterministic simulation: runs the real services on a virtual clock. One seed determines the whole run.

- ``runner`` builds and runs the simulation of a seed.
- ``calls`` plans the calls of the clients.
- ``bad_documents`` adds documents that cannot be read.
- ``scheduler`` runs the actors, which are simulated processes, on a virtual clock.
- ``store`` is an in-memory Firestore. ``network``, ``queue``, ``models`` and ``receiver`` are fakes of the ports.
- ``faults`` draws the faults.
- ``checks``, ``answers`` and ``webhooks`` check the result.
- ``corpus`` lists the mutants.
"""
