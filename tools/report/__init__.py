"""`make report`: the weekly report for a person, in the terminal and as a page."""
