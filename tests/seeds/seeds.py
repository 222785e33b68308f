# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the five set-ups share: one line for each feature, bandd, servers, conversations.

A test is a script beside this file, run by tests/support/in-namespace. It prints "ok 3 - what" or
"not ok 3 - what" for each feature of its document, and fails if one failed. docs/set-ups.md names them.
"""
import atexit
import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BANDD_BUILD", f"{SOURCE}/build/release")
PATIENCE = 15  # seconds that anything may take on a busy machine

if os.environ.get("BANDD_TEST_NAMESPACE") != "inside":
    sys.exit("run this through tests/support/in-namespace")
if os.getpid() != 1:
    # With the test everything ends that it has started, also when it is killed.
    os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B", *sys.argv])
os.environ.update(BANDD_DATA=SOURCE, LC_ALL="C.UTF-8", NO_COLOR="1",
                  PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def needs(*programs):
    """Ends as skipped if one is not installed."""
    missing = [name for name in programs if not (os.path.exists(name) or shutil.which(name))]
    if missing:
        print(f"skipped: needs {', '.join(missing)}")
        sys.exit(77)


def run(command, seconds=30, **more):
    """A command's exit status and all of its output; what takes too long is ended."""
    try:
        ended = subprocess.run(command, shell=isinstance(command, str), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=seconds, errors="replace", **more)
        return ended.returncode, ended.stdout
    except subprocess.TimeoutExpired:
        return 124, f"not done after {seconds} s"


def must(command):
    code, out = run(["bash", "-euo", "pipefail", "-c", command])
    if code != 0:
        sys.exit(f"cannot prepare the machine: {command}\n{out}")
    return out


def read(path, mode="r"):
    try:
        with open(path, mode, **({} if "b" in mode else {"errors": "replace"})) as file:
            return file.read()
    except FileNotFoundError:
        return b"" if "b" in mode else ""


def write(path, text, mode="w"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, mode) as file:
        file.write(text)


def wait_for(condition, seconds=PATIENCE):
    """What it gives once that is true, or at the end."""
    until = time.monotonic() + seconds
    while True:
        got = condition()
        if got or time.monotonic() > until:
            return got
        time.sleep(0.02)


class Checks:
    """The features, numbered."""

    def __init__(self):
        self.number = 0
        self.failed = 0
        self.last = time.monotonic()
        self.names = set()
        self.detail = lambda: ""  # what to show with a feature that fails

    def ok(self, what, good, detail=""):
        """`good`: a value, or a function that is asked until it says yes."""
        self.number += 1
        self.names.add(what)
        try:
            good = wait_for(good) if callable(good) else good
        except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
            good, detail = False, f"{detail}\n{type(error).__name__}: {error}"
        took, self.last = time.monotonic() - self.last, time.monotonic()
        print(f"{'ok' if good else 'not ok'} {self.number} - {what}{f' ({took:.0f} s)' if took > 1 else ''}", flush=True)
        if not good:
            self.failed += 1
            for line in (str(detail) or self.detail()).strip().splitlines()[-14:]:
                print(f"    # {line}", flush=True)
        return bool(good)

    def must(self, what, good, detail=""):
        """The same for what the rest of a part needs."""
        if not self.ok(what, good, detail):
            raise RuntimeError(f"without it nothing works: {what}")

    def equal(self, what, got, expected):
        return self.ok(what, got == expected, f"got      {got!r}\nexpected {expected!r}")

    def contains(self, what, text, *parts):
        return self.ok(what, all(part in text for part in parts), f"got {text!r}\nwithout one of {parts!r}")

    @contextlib.contextmanager
    def part(self, title, bandd):
        """What ends a part ends only that; bandd is stopped."""
        print(f"# {title}", flush=True)
        try:
            yield
        except Exception as error:  # the other parts are worth running
            self.ok(f"{title}: carried through", False, "".join(traceback.format_exception(error)))
        finally:
            bandd.stop()

    def check_page(self):
        """docs/set-ups.md says which check shows a feature: they must be there."""
        script = f"tests/seeds/{os.path.basename(sys.argv[0])}"
        section = read(f"{SOURCE}/docs/set-ups.md").partition(f"`{script}`")[2].partition("\n## ")[0]
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")][2:]
        named = [row[-1].strip().replace("\\|", "|") for row in rows]
        unknown = [name for name in named if name not in self.names]
        self.ok("docs/set-ups.md names checks of this test", named and not unknown, f"there are no {unknown}")

    def done(self):
        self.check_page()
        print(f"{self.number - self.failed} of {self.number} features as the document has them")
        sys.exit(1 if self.failed else 0)


class Background:
    """A program that runs beside the test, with all that it starts. It ends with the test at the latest."""
    started = []

    def __init__(self, command, log, **more):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, shell=isinstance(command, str), stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True, **more)
        atexit.register(self.end)
        Background.started.append(self)

    @staticmethod
    def end_all():
        while Background.started:
            Background.started.pop().end()

    def alive(self):
        return self.process.poll() is None

    def end(self, how=signal.SIGTERM, seconds=10):
        if self.alive():
            self.process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


def directory():
    """An own directory that other users can read."""
    path = tempfile.mkdtemp(prefix="bandd-seed-")
    os.chmod(path, 0o755)
    if "KEEP" in os.environ:
        print(f"# kept: {path}")
    else:
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def inside(netns):
    return ["ip", "netns", "exec", netns] if netns else []


class Bandd:
    """bandd as an administrator starts it: as root, becoming its user. `netns`: where it runs."""

    def __init__(self, home, netns=None):
        self.etc, self.home, self.prefix = f"{home}/etc", home, inside(netns)
        self.process = None
        self.log_path = f"{home}/bandd.log"

    def configure(self, text, jails=None):
        """bandd.yaml, and files of jails/ by name."""
        write(f"{self.etc}/bandd.yaml",
              f"state: {self.home}/lib/bandd.db\nsocket: {self.home}/lib/bandd.sock\n"
              f"log: {{level: info}}\n{text}")
        for name, content in (jails or {}).items():
            write(f"{self.etc}/jails/{name}.yaml", content)

    def check(self):
        return run([*self.prefix, f"{BUILD}/bandctl", "--config", self.etc, "check"])

    def start(self):
        """Whether it started; its log says why not."""
        before = len(self.log())
        self.process = Background([*self.prefix, f"{BUILD}/bandd", "--foreground", "--config", self.etc],
                                  self.log_path)
        return wait_for(lambda: " started: " in self.log()[before:] or not self.process.alive(), 30) and \
            self.process.alive()

    def stop(self, how=signal.SIGTERM):
        return self.process.end(how) if self.process else None

    def restart(self):
        self.stop()
        return self.start()

    def pids(self):
        """Of the daemon, and of all that it started."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                parents[int(name)] = int(read(f"/proc/{name}/stat").rpartition(")")[2].split()[1])
        found = [self.process.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def daemon(self):
        return self.process.process.pid  # "ip netns exec" becomes it

    def ctl(self, *arguments):
        return run([*self.prefix, f"{BUILD}/bandctl", "--config", self.etc, *arguments])[1]

    def json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json"))

    def log(self):
        return read(self.log_path)

    def said(self, *texts, seconds=PATIENCE):
        return wait_for(lambda: all(text in self.log() for text in texts), seconds)

    def bans(self, state="active"):
        """Addresses that are banned, by their prefix as bandctl writes it."""
        return {ban["ip"]: ban for ban in self.json("bans")["bans"] if ban["state"] == state}

    def banned(self, address):
        return address in self.bans()

    def memory_has(self, *secrets, pids=None):
        """Which of these texts are in the memory of these processes (the daemon's)."""
        found = set()
        for pid in pids or [self.daemon()]:
            if is_sanitized(pid):
                continue
            for secret in secrets:
                with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                    if in_memory(pid, secret.encode()):
                        found.add(f"{secret} in {read(f'/proc/{pid}/comm').strip()}")
        return found


def is_sanitized(pid):
    """AddressSanitizer keeps what is freed for a while."""
    spans = [line.split()[0].split("-") for line in read(f"/proc/{pid}/maps").splitlines()]
    return any(int(end, 16) - int(begin, 16) > 1 << 40 for begin, end in spans)


def in_memory(pid, secret):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in read(f"/proc/{pid}/maps").splitlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(number, 16) for number in span.split("-"))
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(begin)
                rest = b""
                while begin < end and (piece := memory.read(min(1 << 22, end - begin))):
                    if secret in rest + piece:
                        return True
                    begin, rest = begin + len(piece), piece[-len(secret):]
    return False


class Talk:
    """A conversation of lines. `source`: the client's address. `tls`: from the beginning."""

    def __init__(self, port, source=None, host="192.0.2.1", tls=False, seconds=PATIENCE):
        self.socket = socket.create_connection((host, port), seconds, (source, 0) if source else None)
        self.rest = b""
        if tls:
            self.start_tls()

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def put(self, text):
        with contextlib.suppress(OSError):
            self.socket.sendall(text.encode())

    def hear(self, beginning=""):
        """The next line that begins so; empty if the connection ends first."""
        while True:
            end = self.rest.find(b"\n")
            if end >= 0:
                line = self.rest[:end].decode(errors="replace").rstrip("\r")
                self.rest = self.rest[end + 1:]
                if line.startswith(beginning):
                    return line
                continue
            try:
                got = self.socket.recv(65536)
            except OSError:
                got = b""
            if not got:
                return ""
            self.rest += got

    def say(self, text, beginning=""):
        self.put(text + "\r\n")
        return self.hear(beginning)

    def reply(self):
        """The last line of SMTP's next reply; empty if the connection ends first."""
        line = self.hear()
        while line[3:4] == "-":
            line = self.hear()
        return line

    def smtp(self, text):
        self.put(text + "\r\n")
        return self.reply()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.close()


def answers(port, host="192.0.2.1", seconds=20, netns=None):
    """Whether a server listens there, soon."""
    def connects():
        if netns:
            return run([*inside(netns), "nc", "-z", host, str(port)])[0] == 0
        with contextlib.suppress(OSError):
            Talk(port, host=host, seconds=2).close()
            return True
        return False
    return wait_for(connects, seconds)


def ask(port, text, host="127.0.0.1", source=None, end=None):
    """All that a server says to a text, up to `end`, until it ends or is silent for long."""
    talk = Talk(port, source, host)
    talk.put(text)
    got = b""
    while select.select([talk.socket], [], [], 5)[0] and (piece := talk.socket.recv(65536)):
        got += piece
        if end and got.endswith(end.encode()):
            break
    talk.close()
    return got.decode(errors="replace")


def http_get(path, port=10041, headers=""):
    """Status and body."""
    text = ask(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
    head, _, body = text.partition("\r\n\r\n")
    return head.split(" ")[1] if " " in head else "", body


def make_ip2location(path, lines):
    must(f"'{SOURCE}/tests/support/make_ip2location' '{path}' <<'END'\n{lines.strip()}\nEND")


def make_mmdb(path, lines):
    must(f"'{SOURCE}/tests/support/make_mmdb' '{path}' <<'END'\n{lines.strip()}\nEND")


def mail_host():
    """192.0.2.1 is this machine's; clients come from 8.0.0.0/8, without being the machine's own."""
    must("ip address replace 192.0.2.1/32 dev lo; ip route replace local 8.0.0.0/8 dev lo")


@contextlib.contextmanager
def netns(name):
    """What is opened within is of that network namespace."""
    def enter(path):
        with open(path) as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {path}")
    own = f"/proc/self/task/{threading.get_native_id()}/ns/net"
    with open(own) as back:
        enter(f"/run/netns/{name}")
        try:
            yield
        finally:
            enter(f"/proc/self/fd/{back.fileno()}")


class Network:
    """The world, a Linux router, and the mail server behind it, each a network namespace.

      internet 203.0.113.0/24, 198.51.100.0/24, 8.0.0.0/8 -- OUTSIDE router 192.168.1.1 -- mail 192.168.1.101
    """
    MAIL, ROUTER = "192.168.1.101", "192.168.1.1"

    def __init__(self, outside="wan"):
        must(f"""
            for n in internet router mail; do ip netns add $n; ip -n $n link set lo up; done
            ip link add out netns internet type veth peer name {outside} netns router
            ip link add eth netns mail type veth peer name lan netns router
            ip -n internet address add 100.64.0.2/24 dev out
            for net in 203.0.113.0/24 198.51.100.0/24 8.0.0.0/8; do
              ip -n internet route add local $net dev lo
            done
            ip -n router address add 100.64.0.1/24 dev {outside}
            ip -n router address add 192.168.1.1/24 dev lan
            ip -n mail address add 192.168.1.101/24 dev eth
            ip -n internet link set out up; ip -n router link set {outside} up
            ip -n router link set lan up; ip -n mail link set eth up
            for net in 203.0.113.0/24 198.51.100.0/24 8.0.0.0/8; do
              ip -n router route replace $net via 100.64.0.2
            done
            ip -n internet route add default via 100.64.0.1
            ip -n mail route add default via 192.168.1.1
            ip netns exec router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
            """)
        atexit.register(run, "for n in internet router mail; do ip netns del $n; done")

    def talk(self, source, port=25, host=MAIL, seconds=PATIENCE):
        """A client on the internet speaks to the mail server."""
        with netns("internet"):
            return Talk(port, source, host, seconds=seconds)

    def reaches(self, source, port=25, host=MAIL):
        """Whether its connection is taken; "refused" if it is told that it is not."""
        try:
            self.talk(source, port, host, 0.4).close()
            return True
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return False


class Postfix:
    """Postfix with a configuration of its own. `where`: what to put before its programs, if they are elsewhere."""

    def __init__(self, home, main, master, where=()):
        self.conf, self.log, self.where = f"{home}/postfix", f"{home}/postfix.log", list(where)
        must(f"mkdir -p {self.conf} {home}/spool {home}/data; {' '.join(where)} chown postfix {home}/data")
        write(f"{self.conf}/main.cf", f"compatibility_level = 3.6\nmaillog_file = {self.log}\n"
              f"maillog_file_prefixes = {home}\n"
              f"queue_directory = {home}/spool\ndata_directory = {home}/data\nmyhostname = mx.example.org\n"
              "inet_protocols = ipv4\nalias_maps =\nalias_database =\nsmtpd_error_sleep_time = 0\n"
              "smtpd_peername_lookup = no\nin_flow_delay = 0\n"
              f"{main}")
        write(f"{self.conf}/master.cf", f"{master}\n"
              "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
              "rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
              "defer unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n"
              "error unix - - n - - error\nretry unix - - n - - error\nshowq unix n - n - - showq\n"
              "discard unix - - n - - discard\nvirtual unix - n n - - virtual\nsmtp unix - - n - - smtp\n"
              "postlog unix-dgram n - n - 1 postlogd\ntlsmgr unix - - n 1000? 1 tlsmgr\n")
        run([*where, "postfix", "-c", self.conf, "set-permissions"])
        self.process = Background([*where, "postfix", "-c", self.conf, "start-fg"], f"{home}/postfix.out")
        atexit.register(self.end)

    def end(self):
        run([*self.where, "postfix", "-c", self.conf, "stop"])

    def queue(self):
        """What is queued: the recipients."""
        out = run(["postqueue", "-c", self.conf, "-j"])[1]
        return sorted(recipient["address"] for line in out.splitlines() if line.startswith("{")
                      for recipient in json.loads(line)["recipients"])
