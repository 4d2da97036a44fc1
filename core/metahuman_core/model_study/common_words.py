"""Words that tell nothing by themselves, in the languages that most notes are written in, and numbers in words.

To take a language in, add a line to each list. A word that is missing costs a question, and makes nothing false.
"""

# ruff: noqa: RUF001  # these are Cyrillic letters indeed

from __future__ import annotations


def _folded(line: str) -> frozenset[str]:
    return frozenset(line.casefold().split())


COMMON = _folded(
    # English
    "a an the and or but so if then than that this these those there here i you he she it we they me him her us "
    "them my your his its our their mine yours hers ours theirs myself yourself is am are was were be been being do "
    "does did doing done have has had having will would shall should can could may might must not no yes of in on "
    "at to from by with without for about into over under after before during between through as up down out off "
    "again very too also just only even still yet ever never always often when where who whom whose what which why "
    "how all any some each every both few more most much many other another such own same one because while until "
    "since there please tell describe explain name give list say mention "
    # German
    "der die das den dem des ein eine einen einem einer eines und oder aber wenn dass ich du er sie es wir ihr mich "
    "dich sich uns mein meine meinen meinem meiner dein deine deinen deinem deiner sein seine unser unsere ist bin "
    "bist sind war waren hast hat haben habe wird werden wurde kann kannst nicht kein keine von im in am an auf zu "
    "zum zur mit ohne bei nach vor aus für über unter als wie wo wer was wann warum wieso weshalb welche welcher "
    "welches wem wen wessen wohin woher womit wofür worüber wieviel wieviele wozu wobei "
    # French
    "le la les un une des du de et ou mais je tu il elle nous vous ils elles mon ma mes ton ta tes son sa ses notre "
    "votre est suis es sont était avoir ai as avez ont pas ne dans sur avec sans pour par chez qui que quoi quel "
    "quelle quels quelles où quand comment pourquoi combien est ce "
    # Spanish, Portuguese, Italian
    "el los las una unos y o pero yo tú él ella nosotros mi mis tu tus su sus es soy eres son era no en con sin "
    "para por qué cuál cuáles quién quiénes cuándo dónde cómo cuánto cuántos cuántas cuanta adónde os uma eu ele "
    "ela meu minha teu tua seu sua são não em com sem qual quais quem quando onde como quanto quantos il lo gli uno "
    "io lui lei noi mio mia tuo tua suo sono sei è non di da che chi cosa quale quali dove come perché "
    # Dutch
    "het een en of maar ik jij je hij zij wij mijn jouw zijn haar ons onze ben bent niet geen van met zonder voor "
    "bij wie wat waar wanneer waarom hoe welke hoeveel "
    # Russian, Ukrainian
    "и или но я ты он она мы вы они мой моя мое мои твой твоя твое твои его её их не нет в на с без для по из к о у "
    "что кто где когда как какой какая какое какие почему зачем сколько куда откуда чей чья чьё що хто де коли який "
    "яка яке які чому скільки куди звідки"
)  # fmt: skip
# What questions are made with, whatever they are about.
VAGUE = _folded(
    "called name names kind sort type job work living profession place town city country street time date day month "
    "year years age old person people thing things colour color number many much long often far happen happened "
    "tell know like feel think remember describe find use used get got make made take took go went come came want "
    "need mean way reason favourite favorite look looks hold keep heißt heißen name art ort stadt zeit tag jahr "
    "beruf farbe alt viel viele lange oft passiert denken weißt nom sorte lieu ville temps jour année métier "
    "couleur âge appelle nombre llama tipo lugar ciudad tiempo día año trabajo color edad"
)
DENIALS = _folded(
    "not no never none nobody nothing neither nor without cannot hardly nicht kein keine keinen keinem keiner nie "
    "niemals niemand nichts ohne pas jamais rien aucun aucune ne non sans nunca jamás nadie nada ningún ninguna não "
    "nem sem niente nessuno niet geen nooit niemand niets zonder не нет никогда никто ничего без ні ніколи ніхто "
    "нічого"
)
NUMBERS = {
    word: str(value)
    for value, in_words in enumerate(
        (
            "zero", "one first", "two second", "three third", "four fourth", "five fifth", "six sixth", "seven seventh",
            "eight eighth", "nine ninth", "ten tenth", "eleven eleventh", "twelve twelfth", "thirteen thirteenth",
            "fourteen fourteenth", "fifteen fifteenth", "sixteen sixteenth", "seventeen seventeenth",
            "eighteen eighteenth", "nineteen nineteenth", "twenty twentieth",
        )
    )
    for word in in_words.split()
}  # fmt: skip
# Who speaks of these speaks of the note, and not of what it tells.
OF_THE_NOTE = _folded("author narrator speaker writer note text memory passage assistant user prompt instructions json")
PLAIN_ANSWERS = _folded(
    "yes no yeah yep nope ja nein oui non sí si nee da да нет так ні maybe perhaps sure certainly correct true false "
    "unknown none n/a"
)
