"""What to run to reach a device's peaks: products, attention, memory, links, latency, collectives.

Each module makes `Candidate`s, which can check their own results. Nothing here times, chooses or
knows of goodput.
"""
