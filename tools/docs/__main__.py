"""`make docs`."""

from tools.docs.write import write

write()
