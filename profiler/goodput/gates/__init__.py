"""Gates: what a program may cost, held against what it did. Never runs the program itself."""
