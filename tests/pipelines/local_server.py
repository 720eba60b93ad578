"""A web server on this machine that can misbehave."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """A local web server whose faults a test sets."""

    def __init__(self, files):
        self.files = files  # by the last part of the path, query included
        self.chunked = False  # as servers answer that make a file when it is asked for
        self.break_off_after: list[int] = []  # bytes of the body after which each of the next answers ends
        self.refuse: list[int] = []  # HTTP status of each of the next answers for files
        self.ranges = True
        self.etag = True
        self.requests: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, to):
        self.requests.append((to.path, to.headers.get("Range")))
        if to.path == "/":
            to.send_response(302)
            to.send_header("Location", "/papers/study/")
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        name = to.path.rsplit("/", 1)[-1]
        body = b"<html>welcome</html>" if not name else self.files.get(name)
        status = self.refuse.pop(0) if name and self.refuse else 200 if body is not None else 404
        if status != 200:
            to.send_response(status)
            to.send_header("Content-Length", "0")
            to.end_headers()
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        asked = to.headers.get("Range")
        if asked and self.ranges and to.headers.get("If-Range", tag) == tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                to.send_response(416)
                to.send_header("Content-Length", "0")
                to.end_headers()
                return
            to.send_response(206)
            to.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            to.send_response(200)
        if self.etag:
            to.send_header("ETag", tag)
        part = body[start:]
        if self.chunked:
            to.send_header("Transfer-Encoding", "chunked")
            to.end_headers()
            for at in range(0, len(part), 1000):
                piece = part[at : at + 1000]
                to.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if self.break_off_after:
                self.break_off_after.pop(0)
                to.close_connection = True
                return
            to.wfile.write(b"0\r\n\r\n")
            return
        to.send_header("Content-Length", str(len(part)))
        to.end_headers()
        if name and self.break_off_after:
            to.wfile.write(part[: self.break_off_after.pop(0)])
            to.wfile.flush()
            to.close_connection = True
            to.connection.shutdown(2)
            return
        to.wfile.write(part)
