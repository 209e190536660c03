"""What ran: invocations, steps and recordings, as plain data."""
