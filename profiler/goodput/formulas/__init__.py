"""How much work an operator is: neutral formulas and the operators they count."""
