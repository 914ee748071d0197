"""Getting in: sign-in pages, second factor, lock-out, sessions, and the record of all that."""
