"""The one exception type for a user's mistakes, at the bottom of the layers so that every layer can raise it."""


class UserError(ValueError):
    """Bad input. The message is one line: the field, the bad value, and what is allowed.

    A command line prints it on stderr and exits with code 2; a notebook sees a ``ValueError``.
    """
