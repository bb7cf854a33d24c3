"""How people really use it: each persona is a generator that acts on its phone and yields the seconds until it acts again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.record import Consent
from bot.sandbox.player import Call
from bot.simulate.person import ALARMS, Person

Acts = Iterator[float]
STEPS, HOUR, DAY = 16, 3600.0, 86_400.0
AROUND = {
    "en": ("well {} I think, thanks", "umm {}", "{} but it has been like this for a while", "ok so {}"),
    "es": ("pues {} creo, gracias", "este {}", "{} pero ya llevo tiempo asi", "bueno {}"),
}
OTHER = {"en": "es", "es": "en"}
HELLO = {"en": "hi my back hurts", "es": "hola me duele la espalda"}
SPEECH = {"1": ("One.", "Uno."), "2": ("Two.", "Dos."), "3": ("Three.", "Tres."), "4": ("Four.", "Cuatro.")}


def _texts(who: Person, dress: Callable[[str], str] = str, pause: float = 20.0, steps: int = STEPS) -> Acts:
    """From hello on, an answer to each question until nothing is asked."""
    who.text(HELLO[who.language])
    for _ in range(steps):
        yield pause
        if who.question is None:
            return
        who.text(dress(who.answer()))


def terse(who: Person) -> Acts:
    """Short answers."""
    return _texts(who)


def chatty(who: Person) -> Acts:
    """Each answer with words around it."""
    return _texts(who, lambda said: who.random.choice(AROUND[who.language]).format(said))


def typos(who: Person) -> Acts:
    """Letters doubled, dropped and swapped."""

    def slip(said: str) -> str:
        if len(said) < 2 or who.random.random() < 0.4:
            return said
        at = who.random.randrange(len(said) - 1)
        return who.random.choice(
            (said[:at] + said[at + 1] + said[at] + said[at + 2 :], said[:at] + said[at] + said[at:], said[: at + 1])
        )

    return _texts(who, slip)


def wrong_language(who: Person) -> Acts:
    """Begins in the one language and goes on in the other."""
    yield from _texts(who, steps=3)
    who.language = OTHER[who.language]
    who.text({"en": "english please", "es": "en español por favor"}[who.language])
    for _ in range(STEPS):
        yield 30
        if who.question is None:
            return
        who.text(who.answer())


def two_at_once(who: Person) -> Acts:
    """Two answers in one text, and two texts in one moment."""
    who.text(HELLO[who.language])
    for _ in range(STEPS):
        yield 15
        if who.question is None:
            return
        said = who.answer()
        if who.random.random() < 0.5:
            who.text(f"{said} and {who.random.randrange(11)}" if who.language == "en" else f"{said} y 8")
        else:
            who.text(said)
            who.text(who.answer())


def late(who: Person) -> Acts:
    """Hours, sometimes more than a day, between two answers."""
    who.text(HELLO[who.language])
    for _ in range(STEPS):
        yield who.random.choice((0.6, 3, 20, 26)) * HOUR
        who.text(who.answer())


def older_question(who: Person) -> Acts:
    """Answers come when the next question is already there."""
    who.text(HELLO[who.language])
    before = "1"
    for _ in range(STEPS):
        yield 25
        if who.question is None:
            return
        now = who.answer()
        who.text(before if who.random.random() < 0.4 else now)
        before = now


def stops(who: Person) -> Acts:
    """STOP midway, words after it, for some an emergency, for some START again."""
    yield from _texts(who, steps=who.random.randrange(1, 7))
    who.text("STOP")
    yield 300
    who.text(HELLO[who.language])
    yield 2 * DAY
    if who.random.random() < 0.3:
        who.text(who.random.choice(ALARMS[who.language]), alarm=True)
    elif who.random.random() < 0.5:
        who.text("START")
        yield 60
        yield from _texts(who)


def frightened(who: Person) -> Acts:
    """Words of an emergency at any step, then thanks."""
    yield from _texts(who, steps=who.random.randrange(8))
    who.text(who.random.choice(ALARMS[who.language]), alarm=True)
    yield 400
    who.text({"en": "ok thanks", "es": "ok gracias"}[who.language])
    yield 30


def shared_phone(who: Person) -> Acts:
    """Two people, one phone, two languages; the second begins anew in the middle."""
    yield from _texts(who, steps=who.random.randrange(2, 9))
    who.language = OTHER[who.language]
    who.text({"en": "restart", "es": "reiniciar"}[who.language])
    for _ in range(STEPS):
        yield 20
        if who.question is None:
            return
        who.text(who.answer())


def asks(who: Person) -> Acts:
    """Commands between the answers."""
    odd = ("HELP", "back", "what is pmr", "book", "\U0001f600", "", "no se", "atras", "ayuda")
    who.text(HELLO[who.language])
    for _ in range(STEPS):
        yield 40
        if who.question is None:
            return
        who.text(who.random.choice(odd) if who.random.random() < 0.35 else who.answer())
    who.text("person")


def taken_over(who: Person) -> Acts:
    """A nurse takes over in the middle, writes, and hands back; the patient writes on all the while."""
    yield from _texts(who, steps=who.random.randrange(1, 9))
    who.nurse.claim()
    for wait in (20, 300, 2 * HOUR):
        yield wait
        if who.random.random() < 0.15:
            who.text(who.random.choice(ALARMS[who.language]), alarm=True)
        elif who.random.random() < 0.7:
            who.text(who.answer())
        if who.random.random() < 0.5:
            who.nurse.reply(
                {"en": "This is the nurse. I have read it.", "es": "Soy la enfermera. Lo leí."}[who.language]
            )
    yield 60
    who.nurse.release(screens=who.random.random() < 0.5)
    for _ in range(STEPS):
        yield 45
        if who.question is None:
            return
        who.text(who.answer())


# -- on the phone --


def _on_call(who: Person, spoken: bool, steps: int = STEPS) -> Acts:
    """Answers on a call until it is over. Whoever is dialled picks up, or not; a message may be left."""
    yield from _talk(who, who.call(), spoken, steps)


def _talk(who: Person, call: Call, spoken: bool, steps: int = STEPS) -> Acts:
    for _ in range(steps):
        yield 6
        if not call.active:
            return
        if call.waiting == "dial":
            call.dialled(who.random.choice(("completed", "no-answer", "busy")))
        elif call.waiting == "record":
            call.record(8, "#")
        elif who.random.random() < 0.08:
            call.silence()
        elif spoken:
            said = who.answer()
            spanish = who.language == "es"
            who.say(call, SPEECH[said][spanish] if said in SPEECH else said.capitalize() + ".")
        else:
            who.press(call, _keys(who))
    call.hang_up()


def _keys(who: Person) -> str:
    said, asked = who.answer(), who.question
    if asked is not None and asked.type == "yesno":
        return "1" if said.lower()[0] in "ysc" else "2"
    return f"{said}#" if said.isdecimal() else "1"


def speaks(who: Person) -> Acts:
    """A call by speech, as a recogniser writes it."""
    return _on_call(who, spoken=True)


def keys(who: Person) -> Acts:
    """A call by keys."""
    return _on_call(who, spoken=False)


def hangs_up(who: Person) -> Acts:
    """Hangs up midway, calls back, and goes on by text."""
    yield from _on_call(who, spoken=False, steps=who.random.randrange(1, 6))
    yield who.random.choice((30, HOUR))
    yield from _on_call(who, spoken=True)
    yield 600
    yield from _texts(who)


def frightened_caller(who: Person) -> Acts:
    """An emergency said on a call."""
    call = who.call()
    for _ in range(who.random.randrange(6)):
        yield 6
        who.press(call, _keys(who))
    if call.waiting == "gather":
        who.say(call, who.random.choice(ALARMS[who.language]), alarm=True)
    yield 5
    call.hang_up()


def landline(who: Person) -> Acts:
    """A phone that takes no texts; some agreed to be called, and are, for what others are texted."""
    who.takes_texts = False
    who.town.sandbox.faults.undeliverable[who.phone] = 30006
    who.takes_calls = who.random.random() < 0.8
    consent = Consent("follow_up", who.takes_calls, who.town.clock(), "form", "", "call")
    who.town.app.conversation.agree(who.phone, "form", (consent,))
    yield from _on_call(who, spoken=who.random.random() < 0.5)
    if who.random.random() < 0.3:
        yield 2 * DAY
        yield from _on_call(who, spoken=False)


def picked_up(who: Person, call: Call) -> Acts:
    """A call of ours rings at their phone: nobody, a machine, or they pick up and talk, hang up, or want no more calls."""
    does = who.random.choice(("talks",) * 5 + ("talks in keys",) * 3 + ("hangs up", "busy", "no-answer", "failed")
                             + ("machine_end_beep", "fax", "alarm", "no more"))  # fmt: skip
    if does in ("busy", "no-answer", "failed"):
        who.missed.append(call)
        who.town.sandbox.decline(call, does)
        return
    machine = does in ("machine_end_beep", "fax")
    (who.missed if machine else who.calls).append(call)
    who.town.sandbox.answer(call, does if machine else "human")
    yield 6
    if does == "no more" and call.active:
        who.stop_by_key(call)
    elif does == "alarm" and call.waiting == "gather":
        who.say(call, who.random.choice(ALARMS[who.language]), alarm=True)
        yield 5
    elif does in ("talks", "talks in keys"):
        yield from _talk(who, call, spoken=does == "talks")
    call.hang_up()


PERSONAS: dict[str, Callable[[Person], Acts]] = {
    "terse": terse, "chatty": chatty, "typos": typos, "speech on a call": speaks, "keys on a call": keys,
    "wrong language": wrong_language, "two answers at once": two_at_once, "late": late,
    "older question": older_question, "STOP midway": stops, "hangs up, calls back": hangs_up,
    "shared phone": shared_phone, "frightened": frightened, "frightened, on a call": frightened_caller,
    "commands": asks, "taken over by a nurse": taken_over, "landline, is called": landline,
}  # fmt: skip


def life(who: Person, days: int) -> Acts:
    """The persona's own part, then *days* in which follow-ups are answered, most of the time."""
    yield from PERSONAS[who.persona](who)
    who.has_news()
    for _ in range(days):
        yield DAY
        if who.random.random() < 0.03:
            who.nurse.claim()
            yield who.random.choice((HOUR, DAY))
            who.nurse.release(screens=False)
        if not who.takes_texts:
            continue
        if who.has_news() and who.question is not None and who.random.random() < 0.7:
            who.text(who.answer())
            for _ in range(3):
                yield 60
                if who.question is not None:
                    who.text(who.answer())
            who.has_news()
