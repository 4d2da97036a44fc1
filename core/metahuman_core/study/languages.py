"""In what language to ask for what no rule understands: that of the memory, where it is told by its small words.

To take a language in, add a row: its commonest words, and the questions that only name something of a memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study.cues import CUES, WORD_CUES
from metahuman_core.study.words import words

_WORD = re.compile(r"[^\W\d_]+")
_MOST_WORDS = 400
_FEWEST_SMALL_WORDS = 2


@dataclass(frozen=True, slots=True)
class Cues:
    """Questions with a {cue}: for something that is named, for a mere word."""

    named: tuple[str, ...]
    word: tuple[str, ...]


ENGLISH = Cues(CUES, WORD_CUES)
_ENGLISH_WORDS = words(
    "i the a an and is my was in of to we it with for on at that she he they have had are not me am as do no so but be "
    "were been there this when which who from by our his her"
)
_LANGUAGES = (
    (
        words("ich der die das und ist nicht wir mit mein meine meiner ein eine einen auf zu im habe sind für sie er "
              "es von seit nach wohnt aber"),
        Cues(("Was weißt du noch von {cue}?", "Erzähl mir von {cue}.", "Was kannst du über {cue} sagen?",
              "Was fällt dir zu {cue} ein?"),
             ('Woran denkst du bei dem Wort "{cue}"?', 'In welcher deiner Erinnerungen kommt "{cue}" vor?')),
    ),
    (
        words("je le la les et est ma mon mes nous dans à une un des du de pas qui elle il au avec pour sur "
              "était depuis"),
        Cues(("Que te rappelle {cue} ?", "Que sais-tu sur {cue} ?", "À quoi te fait penser {cue} ?",
              "Que te dit {cue} ?"),
             ('À quoi te fait penser le mot "{cue}" ?', 'Dans quel souvenir y a-t-il "{cue}" ?')),
    ),
    (
        words("yo el la los las y es mi mis en una un de que con se del al por para cerca está son era ella pero muy"),
        Cues(("¿Qué recuerdas de {cue}?", "Háblame de {cue}.", "¿Qué puedes decir de {cue}?",
              "¿Qué te recuerda {cue}?"),
             ('¿Qué te recuerda la palabra "{cue}"?', '¿En qué recuerdo tuyo aparece "{cue}"?')),
    ),
    (
        words("io il la le e è mia mio mie di un una in che non con sono del della nel nella lei ma ho ha per gli"),
        Cues(("Che cosa ricordi di {cue}?", "Parlami di {cue}.", "Che cosa puoi dire di {cue}?",
              "Che cosa ti fa pensare a {cue}?"),
             ('A che cosa ti fa pensare la parola "{cue}"?', 'In quale tuo ricordo compare "{cue}"?')),
    ),
    (
        words("ik de het een en mijn niet wij van op woont heb heeft zijn haar hij ze naar voor bij dat"),
        Cues(("Wat weet je nog van {cue}?", "Vertel eens over {cue}.", "Wat kun je over {cue} zeggen?",
              "Waar denk je aan bij {cue}?"),
             ('Waar denk je aan bij het woord "{cue}"?', 'In welke herinnering van je komt "{cue}" voor?')),
    ),
    (
        words("eu o a os as e é minha meu em uma um de que não com do da no na ela ele foi está para mas muito"),
        Cues(("O que sabes de {cue}?", "Fala de {cue}.", "O que podes dizer de {cue}?", "O que te lembra {cue}?"),
             ('O que te lembra a palavra "{cue}"?', 'Em que memória tua aparece "{cue}"?')),
    ),
)  # fmt: skip


def cues_for(text: str) -> Cues:
    """Questions in the language of a text; in English where it is another, or cannot be told."""
    found = [word.casefold() for word in _WORD.findall(text[: _MOST_WORDS * 10])][:_MOST_WORDS]

    def small(known: frozenset[str]) -> int:
        return sum(word in known for word in found)

    most, cues = max(((small(known), cues) for known, cues in _LANGUAGES), key=lambda counted: counted[0])
    return cues if most >= _FEWEST_SMALL_WORDS and most > small(_ENGLISH_WORDS) else ENGLISH
