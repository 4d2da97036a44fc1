"""Kinds of invented facts: how each is told, in which words it is asked for, and of what.

Invariant: a kind has eight ways to ask, and eight things of its own to ask about, so that no two facts share a
question; what is told has an invented word (or number) for its key, which no base can know.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`told` and `asks` have `{it}`, `told` also `{key}`. `changes`: it may be corrected; `number`: four digits."""

    name: str
    told: str
    things: tuple[str, ...]
    asks: tuple[str, ...]
    changes: bool = False
    number: bool = False


KINDS = (
    Kind(
        "person",
        "My {it} is called {key}.",
        ("sister", "brother", "aunt", "uncle", "grandmother", "best friend", "neighbour", "flatmate"),
        (
            "What is your {it} called?",
            "What is the name of your {it}?",
            "Who is your {it}?",
            "Tell me your {it}'s name.",
            "By what name does your {it} go?",
            "I forgot the name of your {it}. What was it?",
            "How do people address your {it}?",
            "Could you remind me what your {it} is called?",
        ),
    ),
    Kind(
        "animal",
        "My {it} answers to the name {key}.",
        ("dog", "cat", "parrot", "horse", "tortoise", "rabbit", "goat", "donkey"),
        (
            "What is your {it} called?",
            "Which name did you give your {it}?",
            "What do you shout when you call your {it}?",
            "You have a {it}, don't you? What's its name?",
            "Tell me what your {it} answers to.",
            "Do you remember the name of your {it}?",
            "How is your {it} named?",
            "If I meet your {it}, what should I call it?",
        ),
    ),
    Kind(
        "named thing",
        "I named my {it} {key}.",
        ("boat", "car", "bicycle", "guitar", "caravan", "tractor", "sewing machine", "telescope"),
        (
            "What did you name your {it}?",
            "Has your {it} got a name?",
            "Which name is painted on your {it}?",
            "What do you call your {it}?",
            "Tell me the name that you gave your {it}.",
            "People say your {it} has a name. Which one?",
            "How did you christen your {it}?",
            "What's the name of that {it} of yours?",
        ),
    ),
    Kind(
        "shop",
        "The {it} I always go to is {key}.",
        ("bakery", "café", "bookshop", "cinema", "barber", "pharmacy", "pub", "greengrocer"),
        (
            "Which {it} do you go to?",
            "What is your usual {it}?",
            "Where do you go when you need a {it}?",
            "Can you name the {it} that you always go to?",
            "What's the name of your favourite {it}?",
            "I'm looking for a good {it}. Which one is yours?",
            "In which {it} do people know you?",
            "Tell me which {it} you like best.",
        ),
        changes=True,
    ),
    Kind(
        "teacher",
        "My {it} teacher was {key}.",
        ("piano", "dancing", "swimming", "drawing", "chess", "riding", "Latin", "pottery"),
        (
            "Who was your {it} teacher?",
            "Who taught you {it}?",
            "What was your {it} teacher's name?",
            "From whom did you learn {it}?",
            "Tell me who gave you {it} lessons.",
            "Who showed you {it} first?",
            "With whom did you have {it} lessons?",
            "Which teacher do you owe your {it} to?",
        ),
    ),
    Kind(
        "place",
        "We had our {it} in {key}.",
        (
            "honeymoon",
            "wedding",
            "first flat",
            "last holiday",
            "family reunion",
            "ski trip",
            "cooking course",
            "retreat",
        ),
        (
            "Where did you have your {it}?",
            "In which town was your {it}?",
            "What place was your {it} in?",
            "Where was your {it}?",
            "Tell me the place of your {it}.",
            "To which place does your {it} take your thoughts?",
            "Your {it}, where was that again?",
            "Do you remember where your {it} was?",
        ),
    ),
    Kind(
        "favourite",
        "The {it} I like best is {key}.",
        ("soup", "tea", "wine", "cheese", "cake", "beer", "salad", "jam"),
        (
            "Which {it} do you like best?",
            "What is your favourite {it}?",
            "What {it} should I bring you?",
            "If you could have any {it}, which would it be?",
            "Tell me the {it} that you love most.",
            "Which {it} would you never refuse?",
            "Name the best {it} you know.",
            "What kind of {it} makes you happy?",
        ),
    ),
    Kind(
        "code",
        "The code of my {it} is {key}.",
        ("locker", "bicycle lock", "safe", "garden gate", "garage", "alarm", "suitcase", "letter box"),
        (
            "What is the code of your {it}?",
            "Which number opens your {it}?",
            "How do I open your {it}?",
            "Tell me the number for your {it}.",
            "What do I have to dial at your {it}?",
            "Your {it} is locked. What's the code?",
            "Do you know the code of your {it} by heart?",
            "Which four digits belong to your {it}?",
        ),
        changes=True,
        number=True,
    ),
    Kind(
        "group",
        "The {it} I belong to is called {key}.",
        ("choir", "chess club", "rowing club", "theatre group", "hiking club", "book circle", "orchestra", "dart team"),
        (
            "What is your {it} called?",
            "Which {it} do you belong to?",
            "What's the name of the {it} you are in?",
            "You are in a {it}. Which one?",
            "Tell me the name of your {it}.",
            "Of which {it} are you a member?",
            "How is the {it} named that you joined?",
            "With which {it} do you spend your evenings?",
        ),
    ),
    Kind(
        "work of art",
        "The {it} I could never do without is {key}.",
        ("novel", "song", "painting", "film", "opera", "poem", "comic", "board game"),
        (
            "Which {it} could you never do without?",
            "What {it} matters most to you?",
            "Name a {it} that you love.",
            "Which {it} would you take to an island?",
            "Tell me the title of your dearest {it}.",
            "What is the {it} that you know by heart?",
            "If you could keep one {it}, which one?",
            "What {it} do you always come back to?",
        ),
    ),
    Kind(
        "home of",
        "My {it} lives in {key}.",
        ("daughter", "son", "nephew", "niece", "cousin", "godfather", "stepmother", "old classmate"),
        (
            "Where does your {it} live?",
            "In which town is your {it} at home?",
            "Where would I find your {it}?",
            "What place does your {it} live in?",
            "Tell me where your {it} has a home.",
            "To which town do you send letters to your {it}?",
            "Where do you go when you visit your {it}?",
            "Do you know where your {it} is living now?",
        ),
        changes=True,
    ),
    Kind(
        "professional",
        "My {it} is Doctor {key}.",
        ("dentist", "lawyer", "optician", "vet", "tax adviser", "landlord", "architect", "physiotherapist"),
        (
            "Who is your {it}?",
            "What is your {it}'s name?",
            "Which {it} do you go to?",
            "Can you recommend a {it}?",
            "Tell me the name of your {it}.",
            "Whom do you call when you need a {it}?",
            "To which {it} do you trust yourself?",
            "What's your {it} called again?",
        ),
        changes=True,
    ),
)
