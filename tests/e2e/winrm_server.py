"""A WinRM service for tests: NTLM by pyspnego's acceptor, remote shells by what is below.

Arguments: the port to listen on, a directory for what is uploaded, and of the words `tls CERT KEY`
(HTTPS, nothing sealed), `clear` (seals no answer), `forget N` (closes each connection after
N messages), `kerberos` (offers nothing else). NTLM_USER_FILE names the file with the accounts.

Commands are not Windows': PowerShell's are recognized where Ingot sends them, others run in sh.
What arrived is written to requests.log, one line each.
"""

import base64
import http.server
import os
import re
import ssl
import subprocess
import sys
import uuid
import xml.sax.saxutils

import spnego

PORT, ROOT, WORDS = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
LIMIT = int(WORDS[WORDS.index("forget") + 1]) if "forget" in WORDS else None
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
COMMANDS = {}


def log(line):
    with open(os.path.join(ROOT, "requests.log"), "a") as file:
        file.write(line + "\n")


def local(path):
    """Where a file of the machine is here."""
    return os.path.join(ROOT, re.sub(r"[\\/:]+", "_", path))


def powershell(script):
    """What the scripts that Ingot sends would do."""
    said = re.search(r"Write-Output '(.*)'", script)
    if said:
        return said.group(1).encode() + b"\r\n", b"", 0
    paths = re.findall(r"ExpandString\('(.*?)'\)", script)
    if "FromBase64String" in script:
        temporary = local(re.search(r"\$env:TEMP, '(.*?)'", script).group(1))
        with open(temporary, "rb") as source, open(local(paths[0]), "wb") as target:
            for line in source:
                target.write(base64.b64decode(line))
        os.remove(temporary)
        return b"", b"", 0
    return b"", b"not understood: " + script.encode(), 1


def run(line):
    """Standard output, standard error and exit code of a command line."""
    encoded = re.search(r"-EncodedCommand (\S+)$", line)
    if encoded:
        return powershell(base64.b64decode(encoded.group(1)).decode("utf-16-le"))
    piece = re.match(r'echo (\S+) >> "%TEMP%\\(.*)"$', line)
    if piece:
        with open(local(piece.group(2)), "ab") as file:
            file.write(piece.group(1).encode() + b"\n")
        return b"", b"", 0
    script = re.search(r'"([a-zA-Z]:.*)"$', line)
    if script:
        line = "sh " + local(script.group(1))
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=30)
    return done.stdout, done.stderr, done.returncode


def answer(message):
    """The body of the answer to a SOAP message."""
    action = re.search(r"<a:Action[^>]*>([^<]*)<", message).group(1).rsplit("/", 1)[1]
    log(action)
    if action == "Create":
        return f"<r:Shell><r:ShellId>{uuid.uuid4()}</r:ShellId></r:Shell>"
    if action == "Command":
        line = xml.sax.saxutils.unescape(
            re.search(r"<rsp:Command>(.*?)</rsp:Command>", message, re.S).group(1),
            {"&quot;": '"'},
        )
        name = str(uuid.uuid4())
        COMMANDS[name] = run(line)
        return f"<r:CommandResponse><r:CommandId>{name}</r:CommandId></r:CommandResponse>"
    if action == "Receive":
        name = re.search(r'CommandId="([^"]*)"', message).group(1)
        out, err, code = COMMANDS.pop(name)
        streams = "".join(
            f'<r:Stream Name="{kind}" CommandId="{name}">{base64.b64encode(text).decode()}</r:Stream>'
            for kind, text in (("stdout", out), ("stderr", err))
        )
        return (
            f"<r:ReceiveResponse>{streams}"
            f'<r:CommandState CommandId="{name}" State="{SHELL}/CommandState/Done">'
            f"<r:ExitCode>{code}</r:ExitCode></r:CommandState></r:ReceiveResponse>"
        )
    return ""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection, which is what NTLM logs in."""

    protocol_version = "HTTP/1.1"
    context = None
    messages = 0

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", kind="application/soap+xml;charset=UTF-8", login=()):
        self.send_response(status)
        for value in login:
            self.send_header("WWW-Authenticate", value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "kerberos" in WORDS:
            return self.reply(401, login=["Kerberos"])
        token = self.headers.get("Authorization", "")
        if token.startswith("Negotiate "):
            if self.context is None or self.context.complete:
                self.context = spnego.server(protocol="ntlm")
            try:
                out = self.context.step(base64.b64decode(token[10:]))
            except spnego.exceptions.SpnegoError as error:
                log(f"refused: {error}".replace("\n", " "))
                self.context = None
                return self.reply(401, login=["Negotiate"])
            if out:
                return self.reply(401, login=["Negotiate " + base64.b64encode(out).decode()])
            log("login " + self.context.client_principal)
            return self.reply(200)
        if self.context is None or not self.context.complete:
            return self.reply(401, login=["Negotiate"])
        kind = self.headers.get("Content-Type", "")
        sealed = kind.startswith("multipart/encrypted")
        if sealed == ("tls" in WORDS):
            return self.reply(500, b"wrongly sealed")
        if sealed:
            head, payload = body.split(b"application/octet-stream\r\n", 1)
            payload = payload[: payload.rindex(b"--Encrypted Boundary--")]
            length = int.from_bytes(payload[:4], "little")
            body = self.context.unwrap_winrm(payload[4 : 4 + length], payload[4 + length :])
            declared = int(re.search(rb"Length=(\d+)", head).group(1))
            assert declared == len(body), "the length of the message"
        soap = (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:r="{SHELL}"><s:Body>{answer(body.decode())}'
            "</s:Body></s:Envelope>"
        ).encode()
        self.messages += 1
        if self.messages == LIMIT:
            self.close_connection = True
        if not sealed or "clear" in WORDS:
            return self.reply(200, soap)
        wrapped = self.context.wrap_winrm(soap)
        head = (
            "--Encrypted Boundary\r\n"
            "\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
            f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(soap)}\r\n"
            "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        ).encode()
        sealed = len(wrapped.header).to_bytes(4, "little") + wrapped.header + wrapped.data
        self.reply(200, head + sealed + b"--Encrypted Boundary--\r\n", kind)


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
if "tls" in WORDS:
    certificate, key = WORDS[WORDS.index("tls") + 1 :][:2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
