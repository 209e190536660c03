"""How a rate is measured: the clock, samples, bouts and their statistics."""
