"""Account data: the export and the deletion of everything about a user."""
