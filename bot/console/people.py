"""Members of staff: who they are, what they may do, how they prove it. Passwords are argon2id, the second factor TOTP.

Kept in Redis, sealed. Never logs a name, a password or a code. The clock here is the wall's, not the sandbox's: the
telephone that shows the code does not know of virtual days.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import argon2
import pyotp
from redis.exceptions import WatchError

from bot.console.languages import sentence
from bot.store.store import Store

Role = Literal["viewer", "nurse", "manager", "administrator"]
ROLES: tuple[Role, ...] = ("viewer", "nurse", "manager", "administrator")
FAILURES, LOCK_SECONDS = 5, 15 * 60
CODE_SECONDS = 180  # longer than a code is good for: a code works once
INVITE_SECONDS = 24 * 3600
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
STAFF, NAMES = "{console}staff", "{console}names"

LINK_USED = sentence("This link was used or has expired. Ask an administrator for a new one.")

_hasher = argon2.PasswordHasher()
# A password costs a tenth of a second and 64 MB to check, and anybody may ask for it: never with every thread at once.
_turns = threading.BoundedSemaphore(2)
_NOBODY = _hasher.hash("nobody has this password")  # checked for unknown names
_NO_SECRET = pyotp.random_base32()


class BusyError(RuntimeError):
    """As many passwords are being checked as may be at one time."""


class PersonError(ValueError):
    """What was typed cannot be used; the message is a sentence of the interface."""


@dataclass(frozen=True, slots=True)
class Person:
    """One member of staff. *epoch* rises to end every session of theirs. *born*: when they joined, epoch seconds."""

    id: str
    name: str
    role: Role
    password: str
    secret: str
    active: bool = True
    epoch: int = 0
    born: float = 0.0

    def may(self, least: Role) -> bool:
        """At least this role."""
        return self.active and ROLES.index(self.role) >= ROLES.index(least)


@dataclass(frozen=True, slots=True)
class Invite:
    """A one-time link that makes one account, or gives *person* a new password and code."""

    role: Role
    secret: str
    by: str
    person: str = ""


class People:
    """The staff of one clinic."""

    def __init__(self, store: Store) -> None:
        self._redis: Any = store.client
        self._cipher = store.cipher

    # -- reading --

    def by_id(self, person_id: str) -> Person | None:
        """A member of staff, also a dismissed one."""
        raw = self._redis.hget(STAFF, person_id)
        return Person(**json.loads(self._cipher.open(STAFF, raw))) if raw else None

    def everybody(self) -> list[Person]:
        """All, by name."""
        found = [Person(**json.loads(self._cipher.open(STAFF, raw))) for raw in self._redis.hvals(STAFF)]
        return sorted(found, key=lambda person: person.name.casefold())

    def names(self) -> dict[str, str]:
        """Id -> name of everybody who ever worked here."""
        return {person.id: person.name for person in self.everybody()}

    def nobody_yet(self) -> bool:
        """The first administrator is still to come."""
        return not self._redis.exists(STAFF)

    # -- joining --

    def invite(self, role: Role, by: str, person: str = "") -> str:
        """The token of a new one-time link for an account with *role*, or for a new password of *person*."""
        token = secrets.token_urlsafe(24)
        key = self._invite_key(token)
        invite = Invite(role, pyotp.random_base32(), by, person)
        self._redis.set(key, self._cipher.seal(key, json.dumps(asdict(invite)).encode()), ex=INVITE_SECONDS)
        return token

    def invitation(self, token: str) -> Invite | None:
        """What *token* invites to, without using it up."""
        key = self._invite_key(token)
        raw = self._redis.get(key)
        return Invite(**json.loads(self._cipher.open(key, raw))) if raw else None

    def join(self, token: str, name: str, password: str, code: str, now: float) -> Person:
        """The account that *token* invites to. The link works once. Raises PersonError in a sentence."""
        invite = self.invitation(token)
        if invite is None:
            raise PersonError(LINK_USED)
        name = " ".join(name.split())
        if not invite.person and not 2 <= len(name) <= 40:
            raise PersonError("The name needs 2 to 40 characters.")
        _check_password(password)
        step = _step_of(invite.secret, code, now)
        if step is None:
            raise PersonError("The code is not right. Check that your telephone's clock is set automatically.")
        if invite.person:
            return self._renew(token, invite, password, step)
        person = Person(secrets.token_urlsafe(9), name, invite.role, _hasher.hash(password), invite.secret, born=now)
        if not self._redis.hsetnx(NAMES, self._name_key(name), person.id):
            raise PersonError("Somebody has this name already. Choose another.")
        if not self._redis.getdel(self._invite_key(token)):
            self._redis.hdel(NAMES, self._name_key(name))
            raise PersonError(LINK_USED)
        self._take_code(person, step)
        self._redis.hset(STAFF, person.id, self._sealed(person))
        return person

    def _renew(self, token: str, invite: Invite, password: str, step: int) -> Person:
        hashed = _hasher.hash(password)
        if not self._redis.getdel(self._invite_key(token)):
            raise PersonError(LINK_USED)
        person = self.change(
            invite.person, lambda one: replace(one, password=hashed, secret=invite.secret, epoch=one.epoch + 1)
        )
        if person is None or not person.active:
            raise PersonError(LINK_USED)
        self._take_code(person, step)
        return person

    def change(self, person_id: str, how: Callable[[Person], Person]) -> Person | None:
        """Change an account as it is at this moment: nobody's dismissal is written over. None: there is no such."""

        def write(pipe: Any) -> Person | None:
            raw = pipe.hget(STAFF, person_id)
            if not raw:
                return None
            person = how(Person(**json.loads(self._cipher.open(STAFF, raw))))
            pipe.multi()
            pipe.hset(STAFF, person_id, self._sealed(person))
            pipe.execute()
            return person

        while True:
            with self._redis.pipeline() as pipe:
                try:
                    pipe.watch(STAFF)
                    return write(pipe)
                except WatchError:
                    continue

    def _sealed(self, person: Person) -> bytes:
        return self._cipher.seal(STAFF, json.dumps(asdict(person)).encode())

    # -- signing in --

    def sign_in(self, name: str, password: str, code: str, now: float) -> Person | None:
        """The person, or None without a hint of what was wrong. Five failures lock the name for 15 minutes. Raises
        BusyError, and then nothing is counted."""
        if not _turns.acquire(blocking=False):
            raise BusyError
        try:
            return self._sign_in(name, password, code, now)
        finally:
            _turns.release()

    def _sign_in(self, name: str, password: str, code: str, now: float) -> Person | None:
        counter = self._counter(name)
        if self._locks(counter):
            return None
        # Every kind of wrong takes the same steps, so that the time it takes tells nothing either.
        person = self.by_id((self._redis.hget(NAMES, self._name_key(name)) or b"").decode())
        right = _password_is(person.password if person else _NOBODY, password[:LONGEST_PASSWORD])
        step = _step_of(person.secret if person else _NO_SECRET, code, now)
        if not (person and person.active and right and step is not None and self._take_code(person, step)):
            return None
        self._redis.delete(counter)
        return person

    def locked(self, name: str) -> bool:
        """Too many failures in a row for this name, whether or not somebody has it."""
        return int(self._redis.get(self._counter(name)) or 0) >= FAILURES

    def code_is_right(self, person: Person, code: str, now: float) -> bool:
        """*code* is theirs, of this minute, and was never used."""
        step = _step_of(person.secret, code, now)
        return step is not None and self._take_code(person, step)

    def be_second(self, person: Person, first: str, asked_at: float, code: str, now: float) -> None:
        """*person* stands as a second one for what *first* asked for at *asked_at*. Raises PersonError unless that is
        somebody else, who was here before it was asked, and who proves to be at the keyboard."""
        if person.id == first:
            raise PersonError("You asked for this yourself. Somebody else must approve it.")
        if person.born > asked_at:
            raise PersonError("Your account is newer than the request. Somebody who was here before must approve it.")
        counter = f"{{console}}fail:{person.id}"  # whoever sits at their keyboard cannot try all codes
        if self._locks(counter):
            raise PersonError("Too many wrong codes. Wait 15 minutes.")
        if not self.code_is_right(person, code, now):
            raise PersonError("The code is not right, or was used already. Wait for the next code.")
        self._redis.delete(counter)

    def _locks(self, counter: str) -> bool:
        """One try more, counted before it is checked: many at once are no way around the lock. Tries against a lock do
        not lengthen it, so it ends when it was said to."""
        tries = self._redis.incr(counter)
        if tries <= FAILURES:
            self._redis.expire(counter, LOCK_SECONDS)
        return bool(tries > FAILURES)

    def _take_code(self, person: Person, step: int) -> bool:
        """False when this code was used before."""
        return bool(self._redis.set(f"{{console}}code:{person.id}:{step}", 1, nx=True, ex=CODE_SECONDS))

    def _counter(self, name: str) -> str:
        return f"{{console}}fail:{self._name_key(name)}"

    def _name_key(self, name: str) -> str:
        return str(self._cipher.token_hash(" ".join(name.split()).casefold()))

    def _invite_key(self, token: str) -> str:
        return f"{{console}}invite:{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()}"


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise PersonError("The password needs at least 12 characters. Three or four words make a good one.")
    if len(password) > LONGEST_PASSWORD:
        raise PersonError("The password may have at most 200 characters.")
    if len(set(password)) < 5:
        raise PersonError("The password repeats itself. Three or four words make a good one.")


def _password_is(hashed: str, password: str) -> bool:
    try:
        return bool(_hasher.verify(hashed, password))
    except argon2.exceptions.VerificationError:
        return False


def _step_of(secret: str, code: str, now: float) -> int | None:
    """The time step (30 s) whose code this is, one step of drift allowed; None for a wrong one."""
    code = "".join(code.split())
    totp = pyotp.TOTP(secret)
    for drift in (0, -1, 1):
        at = int(now) + drift * 30
        if len(code) == 6 and code.isdecimal() and secrets.compare_digest(totp.at(at).encode(), code.encode()):
            return at // 30
    return None
