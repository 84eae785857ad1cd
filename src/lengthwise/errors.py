"""What went wrong in the user's hands, in one line."""


class UserError(Exception):
    """Bad input. The message says what is wrong and what to do; the command prints it
    as one line and exits with status 2."""
