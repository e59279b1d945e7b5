"""`make seed`."""

from tools.seed.export import main

main()
