"""Errors a user can mend. Everything else is a bug and keeps its traceback."""


class UserError(Exception):
    """Bad input: the message is one line that says what is wrong and what to do.

    The command line prints the message alone and exits with code 2.
    """


class SequenceTooLong(UserError):
    """A sequence has more tokens than a student has positions."""
