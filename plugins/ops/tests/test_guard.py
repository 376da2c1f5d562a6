"""What nobody gets to do to the operations server."""

from __future__ import annotations

import logging
import random

import httpx
import msgspec
import pytest

from corten.app import App
from corten.health import Check
from corten.plugins import Reply, Request, Route
from corten.secrets import Secret
from corten_ops import Ops, OpsSettings

from .conftest import Pages, make

pytestmark = pytest.mark.anyio

TOKEN = "canary-0123456789abcdef"


def client(app: App[None]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=app.get(Ops).url, trust_env=False)


async def raw(app: App[None], request: bytes) -> bytes:
    import anyio

    host, _, port = app.get(Ops).url.removeprefix("http://").rpartition(":")
    answer = b""
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request)
        with anyio.fail_after(10):
            try:
                while True:
                    answer += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return answer


def problems(**values: object) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(values, OpsSettings, dec_hook=lambda _, value: Secret(value))
    return str(caught.value)


def test_another_address_than_loopback_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "ops.example.org", ""):
        assert "there is no token" in problems(host=host)
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert OpsSettings(host=host).token is None
    assert OpsSettings(host="0.0.0.0", token=Secret(TOKEN)).host == "0.0.0.0"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"token": "short"}, "at least 16 characters"),
        ({"token": ""}, "at least 16 characters"),
        ({"allowed_hosts": ["*"]}, "a wrong name"),
        ({"header_timeout": 0.0}, "more than 0"),
        ({"port": 70000}, "65535"),
    ],
)
def test_settings_that_open_a_door_are_refused(values: dict[str, object], words: str) -> None:
    assert words in problems(**values)
    assert "short" not in problems(**values).replace("too short", "")


async def test_without_a_token_only_the_right_token_in_the_header_opens() -> None:
    app = make(ops__token=TOKEN)
    async with app, client(app) as http:
        for headers in (
            {},
            {"authorization": TOKEN},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": f"Bearer {TOKEN}x"},
            {"authorization": f"Bearer {TOKEN[:-1]}"},
            {"authorization": "Bearer"},
            {"cookie": f"token={TOKEN}"},
            {"x-token": TOKEN},
        ):
            for page in ("/", "/livez", "/metrics", "/nowhere", f"/livez?token={TOKEN}"):
                reply = await http.get(page, headers=headers)
                assert reply.status_code == 401, (page, headers)
                assert reply.headers["www-authenticate"].startswith("Bearer")
        for scheme in ("Bearer", "bearer"):
            reply = await http.get("/livez", headers={"authorization": f"{scheme} {TOKEN}"})
            assert reply.status_code == 200
        request = f"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n"
        twice = await raw(app, f"{request}Authorization: Bearer other\r\n\r\n".encode())
        assert b" 401 " in twice.splitlines()[0]
        assert app.get(Ops).statistics().refused == 41


async def test_the_token_is_on_no_page() -> None:
    app = make(ops__token=TOKEN)
    async with app, client(app) as http:
        for page in ("/", "/metrics", "/health", "/livez?verbose", "/nowhere"):
            reply = await http.get(page, headers={"authorization": f"Bearer {TOKEN}"})
            assert TOKEN not in reply.text + str(reply.headers)
        assert TOKEN not in repr(app.section("ops")["default"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "user@localhost",
        "",
        "[::1",
        "a b",
    ],
)
async def test_a_foreign_host_name_learns_nothing_not_even_of_the_token(host: str) -> None:
    app = make(ops__token=TOKEN, ops__allowed_hosts=["ops.example.org"])
    async with app:
        answer = await raw(app, f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.splitlines()[0].split()[1] in (b"421", b"400")
    assert b"Bearer" not in answer


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9100", "127.0.0.1", "ops.example.org", "ops.example.org.:80"])
async def test_our_own_names_are_answered(host: str) -> None:
    app = make(ops__allowed_hosts=["ops.example.org"])
    async with app, client(app) as http:
        assert (await http.get("/livez", headers={"host": host})).status_code == 200


async def test_two_host_headers_are_refused() -> None:
    app = make()
    async with app:
        request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert (await raw(app, request)).splitlines()[0].split()[1] in (b"400", b"421")


async def test_a_get_changes_nothing_and_another_site_cannot_post() -> None:
    changes: list[bytes] = []

    async def change(request: Request) -> Reply:
        changes.append(request.body)
        return Reply(b"{}")

    app = make(Pages(Route("/change", change, method="POST")))
    async with app, client(app) as http:
        assert (await http.get("/change")).status_code == 405
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "http://evil.example"},
            {"origin": "null"},
        ):
            assert (await http.post("/change", json={}, headers=headers)).status_code == 403
        assert (await http.post("/change", data={"a": "1"})).status_code == 415
        assert (await http.post("/change", content=b"{}", headers={"content-type": "text/plain"})).status_code == 415
        assert changes == []
        own = {"origin": app.get(Ops).url, "sec-fetch-site": "same-origin"}
        assert (await http.post("/change", json={}, headers=own)).status_code == 200
        assert (await http.post("/change", json={})).status_code == 200
        assert len(changes) == 2


async def test_no_page_can_be_framed_scripted_sniffed_or_kept() -> None:
    app = make()
    async with app, client(app) as http:
        for page in ("/", "/livez", "/metrics", "/nowhere"):
            headers = (await http.get(page)).headers
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers


async def test_a_body_beyond_the_cap_is_refused_announced_or_not() -> None:
    async def take(request: Request) -> Reply:
        return Reply(str(len(request.body)).encode())

    app = make(Pages(Route("/take", take, method="POST")), ops__max_body=1000)

    async def pieces() -> object:
        for _ in range(20):
            yield b"x" * 100

    json = {"content-type": "application/json"}
    async with app, client(app) as http:
        assert (await http.post("/take", content=b"x" * 1000, headers=json)).text == "1000"
        assert (await http.post("/take", content=b"x" * 1001, headers=json)).status_code == 413
        assert (await http.post("/take", content=pieces(), headers=json)).status_code == 413  # type: ignore[arg-type]


async def test_a_head_without_end_is_refused() -> None:
    app = make()
    async with app:
        answer = await raw(app, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 70_000)
    assert b"200" not in answer.splitlines()[0] if answer else True


async def test_who_sends_a_head_too_slowly_is_cut_off_and_who_is_one_too_many_too() -> None:
    import anyio

    app = make(ops__header_timeout=0.2, ops__max_connections=3)
    async with app:
        host, _, port = app.get(Ops).url.removeprefix("http://").rpartition(":")
        streams = [await anyio.connect_tcp(host, int(port)) for _ in range(4)]
        await streams[0].send(b"GET /livez HTTP/1.1\r\nHo")
        with anyio.fail_after(10):
            for stream in streams:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
                await stream.aclose()
        async with client(app) as http:
            assert (await http.get("/livez")).status_code == 200


async def test_a_page_that_takes_too_long_is_cut_off() -> None:
    import anyio

    async def forever(_: Request) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError

    app = make(Pages(Route("/forever", forever)), ops__request_timeout=0.2)
    async with app, client(app) as http:
        with anyio.fail_after(10):
            assert (await http.get("/forever")).status_code == 504
            assert (await http.get("/livez")).status_code == 200


async def test_who_does_not_read_the_reply_is_cut_off() -> None:
    import anyio

    async def large(_: Request) -> Reply:
        return Reply(b"x" * 20_000_000)

    app = make(Pages(Route("/large", large)), ops__request_timeout=0.1, ops__header_timeout=0.1)
    async with app:
        host, _, port = app.get(Ops).url.removeprefix("http://").rpartition(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with anyio.fail_after(10):
                read = 0
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await anyio.sleep(1.0)  # a client that does not read
                    while True:
                        read += len(await stream.receive(1_000_000))
            assert read < 20_000_000


async def test_a_credential_in_an_error_is_on_no_page_and_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-5f2e"

    async def away() -> None:
        raise OSError(f"no route to postgresql://app:{canary}@db/x?password={canary}")

    app = make(ops__token=f"{canary}-{TOKEN}")
    app.health.add(Check("database", away))
    with caplog.at_level(logging.DEBUG):
        async with app, client(app) as http:
            http.headers["authorization"] = f"Bearer {canary}-{TOKEN}"
            for page in ("/", "/metrics", "/health", "/livez?verbose", "/readyz?verbose", "/startupz", "/nowhere"):
                reply = await http.get(page)
                assert canary not in reply.text + str(reply.headers), page
            assert "no route to postgresql://app:<secret>@db" in (await http.get("/health")).text
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert canary not in "".join(ours)


async def test_noise_is_answered_with_a_refusal_or_not_at_all() -> None:
    import anyio

    noise = random.Random(7)
    parts = (
        b"GET ",
        b"POST ",
        b"/livez",
        b" HTTP/1.1\r\n",
        b"Host: localhost\r\n",
        b"Content-Length: 5\r\n",
        b"\r\n\r\n",
    )
    app = make(ops__header_timeout=0.3)
    async with app:
        async with anyio.create_task_group() as group:
            for _ in range(40):
                pieces = [noise.choice((*parts, noise.randbytes(noise.randrange(20)))) for _ in range(12)]
                group.start_soon(raw, app, b"".join(pieces))
        assert app.get(Ops).statistics().errors == 0
        async with client(app) as http:
            assert (await http.get("/livez")).status_code == 200
