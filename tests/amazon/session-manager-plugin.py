#!/usr/bin/env python3
"""Stands in for AWS's session-manager-plugin in tests.

It takes the arguments that the plugin takes, and forwards the local port to the port of the
"instance" on this machine, where the real one does so through Systems Manager. What it was handed
it writes down in the directory INGOT_TEST_PLUGIN; a file `fail` there is how many times it is to fail.
"""
import json, os, pathlib, signal, socket, sys, threading

directory = pathlib.Path(os.environ["INGOT_TEST_PLUGIN"])
if sys.argv[1:] == ["--version"]:
    print((directory / "version").read_text())
    sys.exit(0)
handed = {"pid": os.getpid(), "arguments": sys.argv[1:],
          "response": os.environ.get("AWS_SSM_START_SESSION_RESPONSE")}
with open(directory / "handed", "a") as file:
    file.write(json.dumps(handed) + "\n")
fail = directory / "fail"
times = int(fail.read_text()) if fail.exists() else 0
if times > 0:
    fail.write_text(str(times - 1))
    print("Cannot perform start session: no route", file=sys.stderr)
    sys.exit(1)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
parameters = json.loads(sys.argv[5])["Parameters"]
local, remote = (int(parameters[name][0]) for name in ("localPortNumber", "portNumber"))
listener = socket.create_server(("127.0.0.1", local))
print(f"Port {local} opened for sessionId test.\nWaiting for connections...", flush=True)


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


while True:
    client, _ = listener.accept()
    with open(directory / "connections", "a") as file:
        file.write("one\n")
    instance = socket.create_connection(("127.0.0.1", remote))
    for pair in ((client, instance), (instance, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
