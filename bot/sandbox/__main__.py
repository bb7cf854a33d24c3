"""``python -m bot.sandbox``: runs the local Twilio with the settings of the program, until told to stop."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import phonenumbers

from bot.sandbox.clock import clock_in
from bot.sandbox.model import SandboxConfig
from bot.sandbox.server import serve
from bot.settings import Settings, SettingsError


def config_from(settings: Settings) -> SandboxConfig:
    """The local Twilio of a program with these *settings*. Raises ValueError outside the sandbox."""
    if not settings.sandbox:
        raise ValueError("The local Twilio is only for the sandbox. Set SANDBOX=true, or do not start it.")
    clock = clock_in(settings.data_dir)
    service = settings.twilio_messaging_service_sid
    return SandboxConfig(
        account_sid=settings.twilio_account_sid,
        auth_token=settings.twilio_auth_tokens[0].get_secret_value(),
        public_url=settings.public_url,
        numbers=(settings.twilio_from,),
        clock=clock,
        advance=clock.advance,
        port=settings.sandbox_port,
        clinic_name=settings.clinic_name,
        messaging_service_sid=service,
        opt_out_mode=settings.opt_out_mode,
        # Only a messaging service reports on replies that travel in a webhook's answer.
        message_status_path="/status" if service else None,
        call_status_path="/call-status",
        country_codes=tuple({phonenumbers.country_code_for_region(region) for region in settings.allowed_regions}),
    )


def main() -> int:
    """Serves until SIGTERM or Ctrl-C; 2 when the settings do not allow it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        config = config_from(Settings.load())
    except (SettingsError, ValueError) as wrong:
        print(wrong, file=sys.stderr)
        return 2
    serve(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
