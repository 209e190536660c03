"""Files of other systems as entries of a ledger, one module a format; each says what it leaves."""
