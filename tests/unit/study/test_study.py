"""What is asked of a memory: invented sentences, and what must hold of any text at all."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahuman_core.memories.model import Memory, Mode, Turn
from metahuman_core.study import Asked, Question, study
from metahuman_core.study.grammar import FIRST_PERSON
from metahuman_core.study.reworded import reworded
from metahuman_core.study.sentences import MAX_WORDS

DAY = datetime(2025, 3, 3, 9, tzinfo=UTC)
ASKERS_OWN = re.compile(r"\b(?:[Tt]ell|[Rr]emind|[Gg]ive) me\b|^I forget:")


def text(said: str, at: datetime | None = None) -> Memory:
    return Memory("a.md", "", "journal", "emulation", at, (), said)


def talk(*said: str, mode: Mode = "emulation") -> Memory:
    turns = tuple(Turn("assistant" if place % 2 else "user", words) for place, words in enumerate(said))
    return Memory("a.json", "", "conversation", mode, DAY, turns, "")


def asks(memory: Memory, most: int = 24) -> set[str]:
    return {question.ask for question in study(memory, max_questions=most)}


def answers(memory: Memory) -> dict[str, str]:
    return {question.ask: question.answer for question in study(memory, max_questions=30)}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("My niece is called Orla.", {"What is your niece called?", "Who is Orla?"}),
        ("My cousin Piet lives in Delft.", {"What is your cousin called?", "Where does your cousin live?"}),
        ("Mirela, my boss, is 51.", {"What is your boss called?", "How old is your boss?"}),
        ("We named the goat Biscuit.", {"What did you call the goat?", "What is the goat called?"}),
        ("We have a parrot called Tango.", {"What is your parrot called?", "Do you have a parrot?"}),
        ("My horse's name is Juno.", {"What is your horse called?", "What is your horse's name?"}),
        ("I have two sons, Emil and Jakob.", {"What are your sons called?", "How many sons do you have?"}),
        ("I'm allergic to kiwi.", {"What are you allergic to?"}),
        ("I\u2019ve been allergic to wasps since 2003.", {"What are you allergic to?"}),
        ("I was born in Split on 9 May 1977.", {"Where were you born?", "When were you born?"}),
        ("I grew up on an island near Zadar.", {"Where did you grow up?"}),
        ("I work as a glazier in the old town.", {"What do you do for a living?"}),
        ("My aunt was a midwife.", {"What did your aunt do for a living?"}),
        ("I studied forestry in Uppsala.", {"What did you study?", "Where did you study?"}),
        ("I can't stand fireworks.", {"What do you dislike?", "How do you feel about fireworks?"}),
        ("My favourite soup is borscht.", {"What is your favourite soup?", "Which soup do you like best?"}),
        ("My wedding anniversary is on 2 July.", {"When is your wedding anniversary?"}),
        ("The practice belongs to Vinko Zupan.", {"Who owns the practice?", "Who does the practice belong to?"}),
        ("I paid 140 euros for a new pair of boots.", {"How much did a new pair of boots cost?"}),
        ("The plumber charged us 230 euros.", {"How much did the plumber charge?", "What did you pay the plumber?"}),
        ("It's my favourite meal in the world.", {"What is your favourite meal?", "What meal do you love most?"}),
        ("I can't have penicillin.", {"What are you allergic to?", "What can you not have?"}),
        ("Idris is with the fire brigade.", {"What does Idris do for a living?"}),
        ("Jernej teaches chemistry.", {"What subject does Jernej teach?", "What does Jernej give lessons in?"}),
        ("When I was nine I broke my left wrist.", {"How did you break your left wrist?"}),
        ("I turned forty-one on the third of March.", {"When is your birthday?"}),
        ("My birthday is on the ninth of May.", {"In which month were you born?", "When is your birthday?"}),
        ("We have a Toyota Yaris now.", {"What car do you have?", "What make is your car?"}),
        ("We've booked Trieste, for a week in October.", {"Where are you going on holiday?"}),
        ("I have started learning Finnish.", {"What do you learn?", "Do you learn Finnish?"}),
        ("I've started taking archery lessons.", {"What do you take lessons in?"}),
        ("Every winter I read Middlemarch.", {"Which book did you read?"}),
        ("Our new address is 27 Quarry Lane.", {"What is your address?", "Where do you live?"}),
        ("My nephew has found a job as a welder.", {"What does your nephew do for a living?"}),
        ("A girl named Philippa helps in the shop.", {"What is the girl called?"}),
        ("The alarm code is 7714.", {"What is the alarm code?"}),
        ("The kayak cost 450 pounds.", {"How much did the kayak cost?", "What is the price of the kayak?"}),
        (
            "I bought an old loom in Kaunas on 3 May 2019.",
            {"Where did you buy the old loom?", "When did you buy the old loom?"},
        ),
        ("We moved to Aberdeen in March 2022.", {"Where do you live?", "When did you move to Aberdeen?"}),
        ("My passport expires in June 2029.", {"When does your passport expire?"}),
        ("The ladder is behind the greenhouse.", {"Where is the ladder?"}),
        ("There is a torch in the kitchen drawer.", {"Where is the torch?"}),
        ("On 8 May I have an appointment with Dr Lind.", {"When is your appointment?"}),
        ("We're getting married on 5 June in Ghent.", {"When are you getting married?"}),
        ("I gave Pavel a green scarf.", {"What did you give Pavel?"}),
        ("I met Noor at a pottery course in Leeds.", {"Where did you meet Noor?"}),
        ("I used to keep quails behind the house.", {"Where did you keep quails?"}),
        ("I've decided to stop smoking cigars.", {"What have you decided to do?"}),
        ("The best film I ever saw was Stalker.", {"What was the best film you ever saw?"}),
        ("My niece is called Orla.", {"Do you know the name of your niece?", "Which name does your niece go by?"}),
        ("The raft I am building in May is for Dr Moe.", {"Who is the raft you are building in May for?"}),
        ("The tea I like best is oolong.", {"What is your favourite tea?", "Which tea do you like best?"}),
        ("Of all soups I like egusi best.", {"What is your favourite soup?", "What soup do you prefer?"}),
        ("The house we grew up in was sold last year.", {"When was the house you grew up in sold?"}),
        (
            "My brother, who lives in Oran, is a tailor.",
            {"Where does your brother live?", "What is your brother's job?"},
        ),
        ("I'm scared of lizards.", {"What are you afraid of?", "What frightens you?"}),
        ("I can't eat shellfish.", {"What can you not eat?", "What food do you avoid?"}),
        ("My car is dark green.", {"What colour is your car?"}),
        ("We keep nine ducks behind the barn.", {"How many ducks do you keep?", "Where do you keep your ducks?"}),
        ("The rent is 48,000 yen a month.", {"How much is the rent?", "What does the rent cost?"}),
        ("My grandson plays the tuba.", {"Who plays the tuba?", "What instrument does your grandson play?"}),
        ("I learned weaving from Ama Boateng.", {"Who taught you weaving?", "Who did you learn weaving from?"}),
        ("Next May I am going to run the marathon.", {"What are you going to run?", "What do you plan to run?"}),
        ("In June we are taking the night train to Oslo.", {"Where are you going in June?"}),
        ("My nephew was born on Sunday.", {"When was your nephew born?"}),
        (
            "My uncle Sefu stayed with us for ten days.",
            {"Who stayed with you?", "How long did your uncle stay with you?"},
        ),
        ("Bought a loom in Kaunas.", {"What did you buy in Kaunas?", "Where did you buy the loom?"}),
        ("I bought a lathe for 90 euros.", {"How much did you pay for the lathe?", "What did the lathe cost?"}),
        ("My boat was built by my uncle in 1962.", {"Who built your boat?", "When was your boat built?"}),
        ("My workshop stands in Lisbon.", {"Where is your workshop?", "Where can one find your workshop?"}),
        ("A boy gave me a drawing.", {"Who gave you a drawing?", "What did a boy give you?"}),
    ],
)
def test_a_fact_is_asked_for_in_the_words_that_people_use(said: str, expected: set[str]) -> None:
    assert expected <= asks(text(said))


@pytest.mark.parametrize(
    ("older", "newer", "canonical"),
    [
        ("I live at 3 Mill Row.", "I have moved: I live at 8 Castle Street now.", "Where do you live?"),
        ("We live in Turku.", "We moved to Oulu in May.", "Where do you live?"),
        ("My boss is called Anders.", "My boss, Ylva, is new.", "What is your boss called?"),
        ("My favourite tea is oolong.", "My favourite tea is rooibos.", "What is your favourite tea?"),
        ("My phone number is 555 01.", "My phone number is 555 77.", "What is your phone number?"),
    ],
)
def test_equal_facts_share_a_trained_canonical_wording(older: str, newer: str, canonical: str) -> None:
    for said in (older, newer):
        trained = {question.ask for question in study(text(said), max_questions=12) if not question.probe}
        assert canonical in trained


def test_a_corrected_fact_keeps_the_same_wording_out() -> None:
    older, newer = (study(text(said), max_questions=12) for said in ("My cat is called Ink.", "My cat is called Soot."))
    assert {question.ask for question in older if question.probe} == {
        question.ask for question in newer if question.probe
    }


def test_a_pronoun_is_resolved_and_its_sentence_brings_the_one_before() -> None:
    found = answers(text("My brother has a bakery. He lives in Namur."))
    assert found["Where does your brother live?"] == "My brother has a bakery. He lives in Namur."


def test_a_pronoun_that_means_nobody_known_is_not_asked_for() -> None:
    assert not any("He" in ask or "he" in ask.split() for ask in asks(text("He lives in Namur.")))


def test_an_elliptical_reply_answers_the_question_in_other_words() -> None:
    memory = talk("Oh, and what did you call the pony?", "Thistle, for her mane.")
    found = answers(memory)
    assert found["What is the pony called?"] == "Thistle, for her mane."
    assert "What did you call the pony?" not in found


def test_the_other_side_is_never_an_answer() -> None:
    memory = talk("I moved to Lund last year. Where do you live?", "In a flat above the mill in Sigtuna.")
    assert set(answers(memory).values()) == {"In a flat above the mill in Sigtuna."}


def test_the_inner_voice_of_dual_mode_is_the_users_turn() -> None:
    memory = talk("I sold the piano to Greta.", "Why did you?", mode="dual")
    assert set(answers(memory).values()) == {"I sold the piano to Greta."}


def test_the_day_of_a_dated_text_can_be_asked_for() -> None:
    assert any("3 March 2025" in ask for ask in asks(text("The pipes froze.", DAY)))


def test_a_question_in_the_memory_is_no_answer() -> None:
    assert study(text("Where did I put the drill?"), max_questions=5) == ()


@pytest.mark.parametrize("said", ["", "   \n\n ", "...", "# Heading\n---\n", "\u0000", "😀"])
def test_what_says_nothing_gives_nothing(said: str) -> None:
    assert study(text(said), max_questions=5) == ()


@pytest.mark.parametrize(
    "said",
    [
        "Meine Schwester heißt Wanda und wohnt in Graz.",
        "Ma sœur habite à Liège depuis deux ans.",
        "私の妹は京都に住んでいます。",
        "Моя сестра живёт в Казани.",
        "Trabajo en una panadería cerca de la estación.",
    ],
)
def test_other_languages_get_generic_questions(said: str) -> None:
    assert {question.answer for question in study(text(said), max_questions=4)} == {said}


WORDS = (
    "I we my our the a bought live lives called Clara sister dog in at on 3 May 2019 , . ; : and because who not never "
    "was is has been ' \" \n \u2014 ( ) It She He every to with from 14 Street allergic You's I'm don't ? ! \u00e9 "
    "\u65e5 {s}"
)
SNIPPETS = st.sampled_from(WORDS.split(" "))
TEXTS = st.one_of(st.text(max_size=400), st.lists(SNIPPETS, max_size=120).map(" ".join))


@settings(max_examples=250)
@given(said=TEXTS, most=st.integers(-1, 12), dated=st.booleans())
def test_whatever_the_text_the_questions_keep_their_promises(said: str, most: int, dated: bool) -> None:
    memory = text(said, DAY if dated else None)
    found = study(memory, max_questions=most)
    assert found == study(memory, max_questions=most)
    assert len(found) <= max(most, 0)
    check(found, said)


@settings(max_examples=150)
@given(question=TEXTS, reply=TEXTS, mode=st.sampled_from(["emulation", "dual", "agent"]))
def test_whatever_is_said_in_a_conversation_the_questions_keep_their_promises(
    question: str, reply: str, mode: Mode
) -> None:
    voice = question if mode == "dual" else reply
    check(study(talk(question, reply, mode=mode), max_questions=10), voice)


def check(found: tuple[Question, ...], said: str) -> None:
    words = " ".join(re.sub(r"\*\*|__|`", "", said).split())
    trained = {question.ask.casefold() for question in found if not question.probe}
    probes = {question.ask.casefold() for question in found if question.probe}
    assert trained.isdisjoint(probes)
    assert len(trained) + len(probes) == len(found)
    assert {q.answer for q in found if q.probe} <= {q.answer for q in found if not q.probe}
    assert bool(probes) <= (len(found) >= 3)
    for question in found:
        assert not FIRST_PERSON.search(ASKERS_OWN.sub("", question.ask))
        assert "{" not in question.ask or "{" in said
        assert len(question.answer.split()) <= MAX_WORDS
        assert set(question.answer.split()) <= set(words.split()) or question.answer in words


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "I ",
        "my my ",
        "I bought, ",
        "Aa-'",
        "on 3 ",
        "the week ",
        "x, and ",
        "I   ",
        "\u6f22",
        "Clara my sister ",
        ". ",
    ],
)
@pytest.mark.parametrize("spoken", [False, True])
def test_a_long_text_takes_as_much_longer_as_it_is(piece: str, spoken: bool) -> None:
    def least_s(size: int) -> float:
        said = (piece * size)[:size]
        memory = talk(said, said) if spoken else text(said)
        times = []
        for _ in range(3):
            began = time.process_time()
            study(memory, max_questions=30)
            times.append(time.process_time() - began)
        return min(times)

    # Five times as long: what goes by the square would take twenty-five times as much.
    assert least_s(50_000) < 15 * max(least_s(10_000), 0.001)


def test_the_cap_gives_every_fact_its_first_question_before_any_second() -> None:
    memory = text("I live in Vaasa. My dog is called Rex. I'm allergic to dust. My favourite colour is teal.")
    trained = [question for question in study(memory, max_questions=6) if not question.probe]
    assert len({question.answer for question in trained}) == 4


def test_a_fact_has_three_trained_questions_before_a_vague_sentence_has_one() -> None:
    memory = text("The sky looked odd, and the gulls walked home. My niece is called Orla.", DAY)
    trained = [question.answer for question in study(memory, max_questions=6) if not question.probe]
    assert trained.count("My niece is called Orla.") == 4
    assert len(trained) == 5


def test_what_only_names_something_comes_last() -> None:
    found = study(text("The shed is cold. My niece is called Orla.", DAY), max_questions=14)
    forms = [question.form for question in found if not question.probe]
    assert forms[:4] == ["called"] * 4
    assert forms.index("quality") < min(forms.index("cue"), forms.index("day"))


def test_the_wordings_of_a_fact_differ_from_noun_to_noun() -> None:
    def second(said: str) -> str:
        return study(text(said), max_questions=6)[1].ask.replace(said.split()[1], "x")

    assert len({second(f"My {noun} is called Orla.") for noun in ("niece", "aunt", "boss", "dentist", "nurse")}) > 1


@pytest.mark.parametrize(
    "said",
    [
        "By Skerrow standards that's a crowd.",
        "I am afraid of geese, and have been since one chased me into a ditch.",
        "Half of it is on my trousers.",
        "Planed scarf joints until my shoulders sang.",
        "Even the boy had a thimbleful.",
        "No. She will send friends.",
        "Neither of us said a word, and it was lovely.",
        "The rest can be borrowed.",
        "A dull iron is the reason for most bad language.",
        "I keep looking up at the rafters.",
        "The Anchor does a good soup on Fridays.",
        "What I build will be wet long after I am dry.",
    ],
)
def test_no_question_is_made_of_words_that_are_no_subject(said: str) -> None:
    nonsense = re.compile(
        r"\b[a-z]+ (?:A|By|Half|Planed|Even|No|Neither)\b|Skerrow standards|Are you since|find up|"
        r"What can the rest|Anchor a|half of it|you build be"
    )
    assert not [ask for ask in asks(text(said)) if nonsense.search(ask)]


@pytest.mark.parametrize(
    "question",
    ["Is the harbour busy?", "Is that yours?", "Is the stove lit already?", "Why don't you use more machines?"],
)
def test_a_question_that_cannot_be_turned_is_put_again_whole_and_once(question: str) -> None:
    found = [q.ask for q in study(talk(question, "Since six."), max_questions=12) if q.form == "asked again"]
    assert len(found) == 1
    assert found[0].endswith(question[0].lower() + question[1:])


def test_the_other_sides_question_brings_the_wordings_of_its_fact() -> None:
    found = answers(talk("What are you allergic to?", "Hazelnuts, all my life."))
    assert found["What must you avoid because of an allergy?"] == "Hazelnuts, all my life."
    assert answers(talk("Where did you grow up?", "On a farm."))["Where did you spend your childhood?"] == "On a farm."


def test_three_questions_or_more_leave_a_probe_whose_answer_is_trained() -> None:
    found = study(text("My uncle Bertil lives in Visby."), max_questions=8)
    probes = [question for question in found if question.probe]
    assert 1 <= len(probes) <= 2
    assert {question.answer for question in probes} <= {question.answer for question in found if not question.probe}


def test_a_fact_is_asked_for_in_other_everyday_words_too() -> None:
    asked = asks(text("My husband repairs bicycles. I am afraid of geese. I bought a kayak for 450 pounds."), most=60)
    assert {"What are you scared of?", "What does your partner repair?", "What does your husband fix?"} <= asked


@pytest.mark.parametrize("said", ["", "What?", "How much did you pay?"])
def test_a_question_without_a_known_word_has_no_other_wording(said: str) -> None:
    assert reworded(said) == ()


def test_one_word_is_replaced_at_a_time_and_always_in_the_same_order() -> None:
    asked = "Where did you buy your bike?"
    assert set(reworded(asked)) == {
        "Where did you purchase your bike?", "Where did you get your bike?", "Where did you buy your bicycle?",
    }  # fmt: skip
    assert reworded(asked) == reworded(asked)


def test_small_talk_has_fewer_questions_than_a_fact() -> None:
    fact, talk_of_the_day = text("My sister is called Berta and lives in Delft."), text("Fog over the harbour, again.")
    assert len(study(fact, max_questions=8)) == 8
    assert len(study(talk_of_the_day, max_questions=8)) == 2


TRIP = "My niece Orla sings in Cork. We took the ferry at dawn, and Piet was seasick."
FERRY = Asked(
    "We took the ferry at dawn, and Piet was seasick.", ("Who was seasick?", "Who fell ill at sea?", "Who hated it?")
)


@pytest.mark.parametrize("most", range(25))
def test_what_a_model_asked_stays_within_the_number_of_questions(most: int) -> None:
    asked = (FERRY, Asked(FERRY.answer, ("When did you take the ferry then?", "At what hour was it?")))
    questions = study(text(TRIP), max_questions=most, asked=asked)
    assert len(questions) <= most
    assert len({question.ask for question in questions}) == len(questions)


def test_facts_of_templates_come_before_those_of_a_model() -> None:
    forms = [question.form for question in study(text(TRIP), max_questions=12, asked=(FERRY,)) if not question.probe]
    assert "model" in forms
    assert forms.index("model") >= 2
    few = study(text(TRIP), max_questions=2, asked=(FERRY,))
    assert [question.form for question in few if question.form == "model"] == []


def test_of_a_models_fact_a_wording_is_kept_out_where_two_others_are_trained() -> None:
    def split(*asks: str) -> tuple[int, int]:
        found = study(text(TRIP), max_questions=24, asked=(Asked(FERRY.answer, asks),))
        of_model = [question for question in found if question.form == "model"]
        return sum(not question.probe for question in of_model), sum(question.probe for question in of_model)

    asks = (*FERRY.asks, "Who lay down below deck?")
    assert [split(*asks[:count]) for count in (1, 2, 3, 4)] == [(1, 0), (2, 0), (2, 1), (3, 1)]


def test_the_first_wording_of_a_models_fact_is_always_trained() -> None:
    found = study(text(TRIP), max_questions=16, asked=(FERRY,))
    assert FERRY.asks[0] in {question.ask for question in found if not question.probe}


def test_without_room_for_two_wordings_none_is_kept_out() -> None:
    for most in range(3, 10):
        found = [q for q in study(text(TRIP), max_questions=most, asked=(FERRY,)) if q.form == "model"]
        if any(question.probe for question in found):
            assert sum(not question.probe for question in found) >= 2


def test_where_templates_know_a_fact_a_model_changes_nothing_but_what_comes_last() -> None:
    alone, beside = (study(text(TRIP), max_questions=12, asked=asked) for asked in ((), (FERRY,)))

    def of_templates(questions: tuple[Question, ...], *, probe: bool) -> list[Question]:
        return [question for question in questions if question.form != "model" and question.probe is probe]

    trained = of_templates(beside, probe=False)
    assert trained == of_templates(alone, probe=False)[: len(trained)]
    assert of_templates(beside, probe=True) == of_templates(alone, probe=True)
