"""README and docs as a reader meets them: their blocks, the commands in them, one by one."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLLOWED = ROOT / "docs" / "extending.md"  # to the letter, in a copy of the project, by test_extending.py
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path != FOLLOWED)]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+#\s.*$")
_JOINTS = {"&&", ";", "|"}


class Block(NamedTuple):
    """where: file and line, as an editor takes them."""

    where: str
    text: str


def blocks(path, language):
    """The fenced blocks of one language."""
    text = path.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        if found["language"] == language:
            line = text.count("\n", 0, found.start()) + 2
            yield Block(f"{path.relative_to(ROOT)}:{line}", re.sub(f"(?m)^{found['indent']}", "", found["text"]))


def commands(path):
    """The lines after ``$ `` of blocks in ``console``, continued ones joined, without comments."""
    for where, text in blocks(path, "console"):
        name, _, first = where.rpartition(":")
        lines = enumerate(text.splitlines(), int(first))
        for number, line in lines:
            if line.startswith("$ "):
                whole = line[2:]
                while whole.endswith("\\"):
                    whole = whole[:-1].rstrip() + " " + next(lines)[1].strip()
                yield Block(f"{name}:{number}", _COMMENT.sub("", whole))


def of_script(path):
    """The commands of a shell script that call Python, its variables left as they are."""
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in joined.splitlines():
        if found := re.search(r"-m (nas|search_spaces)\b.*", line):
            yield Block(f"{path.relative_to(ROOT)}", f"python {_COMMENT.sub('', found[0])}")


def parts(line):
    """The simple commands of a line, each a list of words, without what is set before them (``NAME=value``)."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, ""
    found = [[]]
    for word in lexer:
        if word in _JOINTS:
            found.append([])
        elif found[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):
            found[-1].append(word)
    return [words for words in found if words]
