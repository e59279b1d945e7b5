"""`make report`: runs the weekly report, prints it, and draws its page."""
