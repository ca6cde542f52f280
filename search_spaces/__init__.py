"""What a network is, which networks there are, what they cost and how they scale.

Standard library and PyYAML only, except ``blocks`` and ``build``, which hold the torch modules.
"""

from search_spaces.arch import Arch, Stage
from search_spaces.errors import UserError
from search_spaces.published import load

__all__ = ["Arch", "Stage", "UserError", "load"]
