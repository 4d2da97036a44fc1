"""Study by templates: from each memory, questions in different words that the memory's own sentences answer.

What a model asked of a memory is taken in here, too, by `Asked`; that it was asked and checked is `model_study`'s.
"""

from metahuman_core.study.asking import ONE_AT_A_TIME, is_askable
from metahuman_core.study.study import BY_MODEL, Asked, Question, asked_by_templates, study

__all__ = ["BY_MODEL", "ONE_AT_A_TIME", "Asked", "Question", "asked_by_templates", "is_askable", "study"]
