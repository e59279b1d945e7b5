"""The examples of the docs, as a reader would paste them."""

import re

from tools.docs.write import README
from tools.emulators.project import ROOT, Project
from tools.emulators.suite import Suite


def here(command: str, suite: Suite) -> str:
    """The command, for the ports that this suite has instead of firebase.json's."""
    for name, port in Project.load(ROOT).ports().items():
        command = command.replace(str(port), str(suite.project.ports()[name]))
    return command


EXAMPLE = re.compile(r"```bash\n(.*?)```\s*```json\n(.*?)```", re.DOTALL)


EXAMPLES = EXAMPLE.findall(README.read_text("utf-8"))
