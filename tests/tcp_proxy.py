"""A TCP relay on loopback whose link a test can cut, freeze or slow down."""

import contextlib
import socket
import threading
import time


class TcpProxy:
    """Passes bytes between clients and one address, a port or the path of a Unix socket, while the link is up."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        self._address = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._up = True
        self._delay_s = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        with self._guard:
            self._up = False
            pairs, self._pairs = self._pairs, set()
        for one in pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Keep the connections and pass nothing on, as a router that drops packets."""
        self._flowing.clear()

    def slow(self, delay_s: float) -> None:
        """Let each piece wait so long before it is passed on."""
        self._delay_s = delay_s

    def restore(self) -> None:
        """Let everything pass again."""
        self._flowing.set()
        self._delay_s = 0.0
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
                    server = self._connect()
                    self._pairs |= {client, server}
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        if not isinstance(self._address, str):
            server = socket.create_connection(self._address, timeout=5)
            server.settimeout(None)
            return server
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._address)
        except OSError:
            server.close()
            raise
        return server

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        back.start()
        self._pass(client, server)
        back.join()
        with self._guard:
            self._pairs -= {client, server}
        client.close()
        server.close()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if self._delay_s:
                    time.sleep(self._delay_s)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
