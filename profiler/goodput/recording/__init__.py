"""Running the user's program and recording its passes."""
