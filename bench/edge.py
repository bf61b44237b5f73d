"""nginx: the edge in front of the API, and the files that it is measured against."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from processes import BenchError, free_port, wait_until
from stack import Answer, Stack

# nginx sets these itself, or they belong to one connection.
OWN_HEADERS = {"server", "date", "connection", "content-length", "content-type", "keep-alive", "transfer-encoding"}


@dataclass
class Listener:
    """One port of an edge: in front of API processes or files, with the micro-cache or without."""

    name: str
    upstream: list[str]
    cached: bool = False
    # Served by the edge itself instead of by an upstream.
    files: dict[str, Answer] | None = None
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if "$" in escaped:
        raise BenchError(f"nginx would take the $ in {text} for a variable")
    return f'"{escaped}"'


def file_locations(files: dict[str, Answer], folder: Path) -> str:
    """Locations that give captured answers, byte for byte and header for header, from a file."""
    blocks = []
    folder.mkdir(exist_ok=True)
    for number, (path, answer) in enumerate(sorted(files.items())):
        name = folder / f"{number}.json"
        name.write_bytes(answer.body)
        headers = [(header, value) for header, value in answer.headers if header not in OWN_HEADERS]
        lines = [f"add_header {header} {quoted(value)};" for header, value in headers]
        names = {header for header, _ in headers}
        if "etag" in names:
            lines.append("etag off;")
        if "last-modified" not in names:
            lines.append('add_header Last-Modified "";')
        blocks.append(
            f"location = {path} {{ default_type {quoted(answer.header('content-type'))}; max_ranges 0; "
            f"alias {name}; {' '.join(lines)} }}"
        )
    return "\n".join(blocks)


def common(home: Path, workers: int) -> str:
    # Started by root its workers would be somebody else, who may not be able to enter this checkout.
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
{user}
daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {home}/pid;
error_log stderr warn;
events {{ worker_connections 8192; multi_accept on; }}
http {{
access_log off;
server_tokens off;
sendfile on;
tcp_nopush on;
tcp_nodelay on;
keepalive_timeout 65s;
keepalive_requests 10000000;
# The file's side shall not pay for opening it each time.
open_file_cache max=100 inactive=60s;
client_body_temp_path {home}/body;
proxy_temp_path {home}/proxy;
fastcgi_temp_path {home}/fastcgi;
uwsgi_temp_path {home}/uwsgi;
scgi_temp_path {home}/scgi;
"""


def launch(stack: Stack, name: str, config: str, home: Path, ports: list[int]):
    path = home / "nginx.conf"
    path.write_text(config)
    process = stack.start(name, ["nginx", "-p", home, "-c", path, "-e", "stderr"])
    for port in ports:
        wait_until(f"{name} listens", 10, lambda port=port: listens(port), process)
    return process


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def home_of(stack: Stack, name: str) -> Path:
    home = stack.folder / name
    home.mkdir()
    return home


def start_files(stack: Stack, count: int, files: dict[str, Answer], name: str = "files"):
    """`count` nginx of one worker, like the API's processes; their addresses and processes."""
    addresses, processes = [], []
    for number in range(1, count + 1):
        home = home_of(stack, f"{name}-{number}")
        port = free_port()
        server = f"server {{ listen 127.0.0.1:{port} backlog=4096;\n{file_locations(files, home / 'files')} }}\n"
        processes.append(launch(stack, f"{name}-{number}", common(home, 1) + server + "}\n", home, [port]))
        addresses.append(f"127.0.0.1:{port}")
    return addresses, processes


def start_edge(stack: Stack, name: str, workers: int, listeners: list[Listener]):
    """One nginx with a port for each listener; all differ in nothing but where the answer comes from."""
    home = home_of(stack, name)
    config = common(home, workers)
    # As the operator's nginx.conf has it.
    config += f"proxy_cache_path {home}/cache keys_zone=micro:4m max_size=64m inactive=1m use_temp_path=off;\n"
    config += "map $http_accept_encoding $encoding { default identity; ~*gzip gzip; }\n"
    config += "map $http_cookie$http_authorization$http_doacao_token$http_if_modified_since $micro { '' micro; default off; }\n"
    for listener in listeners:
        listener.port = free_port()
        config += server_block(listener, home)
    return launch(stack, name, config + "}\n", home, [listener.port for listener in listeners])


def server_block(listener: Listener, home: Path) -> str:
    head = f"server {{ listen 127.0.0.1:{listener.port} backlog=4096; client_max_body_size 64k;\n"
    if listener.files is not None:
        return head + file_locations(listener.files, home / f"files-{listener.name}") + "}\n"
    servers = " ".join(f"server {address} max_fails=0;" for address in listener.upstream)
    # No second try at another server: an error is to be seen. Keep-alive for every connection that a client can have.
    upstream = (
        f"upstream {listener.name} {{ zone {listener.name} 64k; {servers} "
        "keepalive 1024; keepalive_requests 10000000; keepalive_timeout 5s; }\n"
    )
    cache = """
proxy_cache $micro;
proxy_cache_key "$request_method $scheme $encoding $host $request_uri";
proxy_cache_lock on;
proxy_cache_background_update on;
""" if listener.cached else ""
    # A stream is not held back, and nobody waits at the cache for one.
    return upstream + head + f"""proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_next_upstream off;
location / {{
proxy_pass http://{listener.name};
{cache}}}
location ~ ^/api/v1/campanhas/[^/]+/eventos$ {{
proxy_pass http://{listener.name};
proxy_buffering off;
}}
location ~ ^/api/v1/campanhas/[^/]+/totais$ {{
proxy_pass http://{listener.name};
}} }}
"""


def require_same(path: str, real: Answer, copy: Answer) -> None:
    """The ceiling is one only if it sends the same bytes under the same headers."""
    def names(answer: Answer) -> list[str]:
        return sorted(name for name, _ in answer.headers)

    if real.body != copy.body or names(real) != names(copy):
        raise BenchError(f"{path}: the file's answer differs from the API's: {names(real)} against {names(copy)}")
