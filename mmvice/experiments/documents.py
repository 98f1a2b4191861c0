"""Tables in documents, written anew from kept results."""

import re
import shlex
from collections.abc import Callable, Sequence

MARK = re.compile(r'(<!-- collect (.*?) -->\n).*?(<!-- end -->)', re.DOTALL)


def filled(text: str, answer: Callable[[Sequence[str]], str]) -> str:
    """A document with new tables between its marks ``<!-- collect ARGUMENTS -->`` and ``<!-- end -->``.

    Args:
        text: The document.
        answer: Gives the tables for the arguments, which are those of ``tools/experiments.py collect``.

    Example:
        >>> filled('<!-- collect a.yml x -->\\nold\\n<!-- end -->', lambda words: f'new {words[1]}')
        '<!-- collect a.yml x -->\\n\\nnew x\\n\\n<!-- end -->'
    """
    return MARK.sub(lambda found: f'{found[1]}\n{answer(shlex.split(found[2])).strip()}\n\n{found[3]}', text)
