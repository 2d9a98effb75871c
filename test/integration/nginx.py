"""The real nginx in a folder of its own."""

import os
import shutil
import socket
import subprocess
import time

MAIN = """\
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/site.conf;
}}
"""


class Nginx:
    """site: what stands in http {}; it listens on 127.0.0.1:port."""

    def __init__(self, folder, site, port):
        self.folder = str(folder)
        os.makedirs(self.folder)
        for name, text in (("site.conf", site), ("nginx.conf", MAIN.format(folder=self.folder))):
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text)
        command = [shutil.which("nginx") or "/usr/sbin/nginx", "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(command)
        self._await(port)

    @staticmethod
    def _await(port):
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "nginx does not listen"

    def stop(self):
        self.process.terminate()
        self.process.wait()
