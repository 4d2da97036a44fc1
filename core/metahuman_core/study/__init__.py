"""Study by templates: from each memory, questions in different words that the memory's own sentences answer."""

from metahuman_core.study.asking import ONE_AT_A_TIME
from metahuman_core.study.study import Question, study

__all__ = ["ONE_AT_A_TIME", "Question", "study"]
