"""Short training of one network: ``train``, and what it is made of."""

from nas.training.loop import train
from nas.training.optim import Diverged

__all__ = ["Diverged", "train"]
