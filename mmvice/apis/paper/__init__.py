"""The paper's tables and figures: what runs each row, and what the runs gave next to the paper's numbers."""

from .checks import check
from .collect import collect
from .commands import Launch, commands
from .listing import listing
from .reader import read_paper
from .tables import Paper, select

__all__ = ['Launch', 'Paper', 'check', 'collect', 'commands', 'listing', 'read_paper', 'select']
