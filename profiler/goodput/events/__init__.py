"""The events of a whole job and what they add up to: plain types, and the file they are kept in."""
