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
DAYS = ("What happened on {day}?", "What do you remember of {day}?")
