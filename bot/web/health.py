"""For the monitor: is the process alive, and would a turn be possible. Says nothing about patients or versions."""

from __future__ import annotations

from flask import Request, Response

from bot.web.desk import Desk


def alive(desk: Desk, request: Request) -> Response:
    """200 while this process answers at all; never touches the store, so a slow store does not get it restarted."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


def ready(desk: Desk, request: Request) -> Response:
    """200 when a turn is possible, else 503 (a load balancer then stops sending; patients get the apology). A backlog is
    told and is no reason for 503: a web process that is taken away would make it worse."""
    if desk.ready():
        return Response(f"ready\n{desk.about()}", content_type="text/plain; charset=utf-8")
    return Response("the store does not answer\n", 503, content_type="text/plain; charset=utf-8")
