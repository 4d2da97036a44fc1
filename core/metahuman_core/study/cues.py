"""Questions that only name something of a memory, or its day: the last resort, and the least worth."""

from __future__ import annotations

CUES = (
    "What do you remember about {cue}?",
    "Tell me about {cue}.",
    "What can you say about {cue}?",
    "What comes to mind when you think of {cue}?",
)
WORD_CUES = (
    'What comes to mind at the word "{cue}"?',
    'Which memory do you have with "{cue}" in it?',
)
TOPICS = ("What about {cue}?", "What can you tell me about {cue}?")
UNDER_A_LABEL = ("What did you note for {label}?", "What have you got noted for {label}?", "What is noted for {label}?")
LISTS = ("What is on your list {title}?", "What did you note under {title}?", "What stands on the list {title}?")
DAYS = ("What happened on {day}?", "What do you remember of {day}?")
