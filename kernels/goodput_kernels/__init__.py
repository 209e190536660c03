"""What to run to reach a device's peaks: matrix products, convolutions, memory, vector chains.

Each module makes `Candidate`s. Nothing here times, chooses or knows of goodput.
"""
