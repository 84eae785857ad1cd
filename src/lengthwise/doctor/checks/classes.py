"""Whether the file of service classes can be read."""

from __future__ import annotations

from lengthwise.core.classes_file import read_classes
from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.errors import UserError


class ServiceClasses(Check):
    """The file of ``--classes``."""

    name = "classes"

    def look(self, asked: Asked) -> Finding | None:
        """Read it."""
        if asked.classes is None:
            return None
        try:
            found = read_classes(asked.classes)
        except UserError as error:
            return self.problem(
                str(error), "lengthwise check-config --example prints a file to begin with"
            )
        return self.ok(f"{', '.join(each.name for each in found.all)} of {asked.classes}")
