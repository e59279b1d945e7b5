"""Credits, ledger, requests, catalog, weeks: values and rules that know neither Firestore nor Firebase."""
