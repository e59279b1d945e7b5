"""`make docs`: generates tables, examples, docs/openapi.json and the Postman collection."""
