"""The weekly report: counting, reconciliation, forecast, anomalies, alerts and its documents."""
