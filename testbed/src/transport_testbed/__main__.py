"""``python -m transport_testbed``: the command line, and nothing else."""

from transport_testbed.cli import main

raise SystemExit(main())
