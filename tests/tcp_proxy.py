"""A TCP relay on loopback whose link a test can cut or freeze."""

import contextlib
import socket
import threading


class TcpProxy:
    """Passes bytes between clients and one address, while the link is up."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: list[socket.socket] = []
        self._guard = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._up = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        with self._guard:
            self._up = False
            pairs, self._pairs = self._pairs, []
        for one in pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def freeze(self) -> None:
        """Keep the connections and pass nothing on, as a router that drops packets."""
        self._flowing.clear()

    def restore(self) -> None:
        """Let everything pass again."""
        self._flowing.set()
        with self._guard:
            self._up = True

    def close(self) -> None:
        """End for good."""
        self._listener.close()
        self.cut()
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._guard:
                    if not self._up:
                        client.close()
                        continue
                    server = socket.create_connection(self._address, timeout=5)
                    server.settimeout(None)
                    self._pairs += [client, server]
            except OSError:
                client.close()
                continue
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
