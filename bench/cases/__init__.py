"""What is measured: each file has a `cases()`; a program is written once, for whichever library it is handed."""
