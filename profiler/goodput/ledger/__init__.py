"""Ledgers of jobs: read, joined over ranks and incarnations, accounted for to the nanosecond."""
