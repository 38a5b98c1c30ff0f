"""The one exception for mistakes that a user can make and mend."""


class UserError(Exception):
    """A foreseeable mistake, told in one line: what, found, expected, and which file.

    Entry scripts print the message without a traceback and exit with status 2
    (`src.command_line.run`). Anything else that is raised is a defect of the program.
    """
