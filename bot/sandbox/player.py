"""One call with somebody on the line: keys, speech, silence, hanging up, as Twilio's Gather, Dial and Record see them.

The test or the phone page is that somebody. Silence moves the virtual clock by as long as Twilio would have waited.
Nothing here knows what the bot says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urljoin

from bot.sandbox.hooks import Fetched, Request
from bot.sandbox.line import RECORD_SECONDS, WORDS_PER_SECOND, Line, Prompt
from bot.sandbox.model import new_sid


class Call(Line):
    """One call. ``heard`` is every sentence spoken so far; ``waiting`` says what the line now waits for.

    Inputs return the sentences heard because of them. An input the line does not wait for goes unnoticed, as on a real
    line. ``requests`` holds every document request, newest last; ``digits`` what was keyed and not yet submitted.
    """

    # --- what the person on the line does ------------------------------------------------------------------------

    def press(self, keys: str) -> list[str]:
        """Keys ``0``-``9 * #``, one after the other; those left over once the line stops listening are lost."""
        return self._input(lambda: self._press(keys), keys)

    def say(self, text: str, confidence: float | None = None) -> list[str]:
        """Speech as recognised. *confidence* None leaves the parameter out, as Twilio sometimes does."""
        return self._input(lambda: self._say(text, confidence), text)

    def silence(self) -> list[str]:
        """Nothing, for as long as Twilio waits. Moves the virtual clock; keys already pressed are then submitted."""
        return self._input(self._silence)

    def hang_up(self) -> None:
        """The person hangs up, whatever the line is doing."""
        self._input(self._hang_up)

    def dialled(self, outcome: str, seconds: int = 30) -> list[str]:
        """How the dialled party reacts: ``completed`` after *seconds* of talk, ``busy``, ``no-answer``, ``failed``."""
        return self._input(lambda: self._dialled(outcome, seconds))

    def record(self, seconds: int = 5, key: str = "") -> list[str]:
        """The person talks for *seconds* and ends with *key*, or with silence."""
        return self._input(lambda: self._record(seconds, key))

    def retry(self, request: Request | None = None) -> Fetched:
        """Posts the last document request (or *request*) once more, as a retry does; the answer is not played."""
        answer = self.desk.hooks.send(request or self.requests[-1])
        self.desk.warn(answer)
        return answer

    def tick(self, patient_caller: bool) -> None:
        """Times out what the virtual clock has passed. A *patient_caller* is only timed out after pressing keys."""
        with self.lock:
            overdue = self.deadline is not None and self.desk.config.clock() >= self.deadline
            if overdue and self.waiting == "gather" and (self.digits or not patient_caller):
                self._timed_out()
                self._run()

    def begin(self) -> None:
        """Answers the line and plays the first document."""
        with self.lock:
            self.waiting = ""
            self.started = self.desk.config.clock()
            if self.direction == "outbound-api":
                self.status = "in-progress"
                self.desk.call_changed(self, "answered")
            if self.plan.twiml:
                self._play(Fetched(200, "text/xml", self.plan.twiml.encode()), inline=True)
            else:
                extra = {"AnsweredBy": self.answered_by} if self.answered_by and not self.plan.amd_callback else {}
                self._go(self.plan.url, self.plan.method, extra)
            self._run()

    def redirect(self, url: str, method: str = "POST", twiml: str = "") -> None:
        """The REST API sends the running call to another document."""
        with self.lock:
            self.waiting, self._verbs, self.digits = "", [], ""
            if twiml:
                self._play(Fetched(200, "text/xml", twiml.encode()), inline=True)
            else:
                self._go(url, method, {})
            self._run()

    # --- inputs ----------------------------------------------------------------------------------------------------

    def _input(self, act: Callable[[], None], shown: str = "") -> list[str]:
        with self.lock:
            before = len(self.heard)
            if self.active:
                self._documents = 0
                if shown:
                    self.prompts.append(Prompt("you", shown))
                act()
                self._run()
            return self.heard[before:]

    def _press(self, keys: str) -> None:
        element, finish = self._element, self._element.get("finishOnKey", "#")
        for key in keys:
            if self.waiting == "dial" and key == "*" and element.get("hangupOnStar") == "true":
                return self._dialled("completed", 5)
            if self.waiting == "record" and key in element.get("finishOnKey", "1234567890*#"):
                return self._record(5, key)
            if self.waiting != "gather" or "dtmf" not in element.get("input", "dtmf").split():
                return None
            if key in finish:
                return self._submit_digits()
            self.digits += key
            self._set_deadline(0)
            if len(self.digits) >= int(element.get("numDigits") or 10_000):
                return self._submit_digits()
        return None

    def _say(self, text: str, confidence: float | None) -> None:
        if self.waiting != "gather" or "speech" not in self._element.get("input", "dtmf").split() or self.digits:
            return
        self.elapsed += len(text.split()) / WORDS_PER_SECOND
        spoken = {"SpeechResult": text, "Language": self._element.get("language", "en-US")}
        if confidence is not None:
            spoken["Confidence"] = str(confidence)
        self._submit(spoken)

    def _silence(self) -> None:
        if self.waiting == "gather":
            self._pass(self._gather_seconds())
            self._timed_out()
        elif self.waiting == "record":
            self._pass(int(self._element.get("timeout") or RECORD_SECONDS))
            # A recording of nothing is no recording: Twilio goes on with the next verb and asks no action.
            self.waiting = ""
        elif self.waiting == "dial":
            self._dialled("no-answer", 0)

    def _hang_up(self) -> None:
        if self.waiting == "dial":
            self._tell_once({"DialCallStatus": "canceled", "DialCallSid": new_sid("CA"), "DialBridged": "false"})
        elif self.waiting == "record":
            self._tell_once({"Digits": "hangup"})
        self.end("no-answer" if self.status == "ringing" and self.direction == "outbound-api" else "completed")

    def _timed_out(self) -> None:
        if self.digits:
            self._submit_digits()
        elif self._element.get("actionOnEmptyResult") == "true":
            blank = {"Digits": "", "SpeechResult": ""} if self.desk.faults.blank_empty_result else {}
            self._submit(blank)
        else:
            self.waiting = ""

    def _submit_digits(self) -> None:
        keyed, self.digits = self.digits, ""
        # The finishing key alone is no input at all.
        if keyed:
            self._submit({"Digits": keyed})
        else:
            self._timed_out()

    def _submit(self, params: Mapping[str, str]) -> None:
        action = self._element.get("action")
        self.waiting = ""
        self._go(urljoin(self._base, action or self._base), self._element.get("method", "POST"), params)

    def _record(self, seconds: int, key: str) -> None:
        if self.waiting != "record":
            return
        self.elapsed += seconds
        self.waiting = ""
        url = self.desk.recorded(self, self._element, self._base, seconds)
        told = {"RecordingUrl": url, "RecordingDuration": str(seconds), "Digits": key}
        self._go(urljoin(self._base, self._element.get("action") or self._base), "POST", told)
