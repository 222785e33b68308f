# SPDX-License-Identifier: GPL-2.0-or-later
"""What the trials share: a namespace of their own, a bandd on a directory of its own, checks.

A trial begins with `enter()`, which runs it again in namespaces of its own (tests/support/in-namespace),
and ends with `finish()`. The programs are in $BANDD_BUILD, or in build/release.
"""
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TREE = os.path.realpath(os.path.join(HERE, "../../.."))
BUILD = os.path.realpath(os.environ.get("BANDD_BUILD") or os.path.join(TREE, "build/release"))
SHORT = "--short" in sys.argv
failures = []


@atexit.register
def leave_nothing():
    """A trial that breaks off leaves no daemon behind."""
    for one in daemons:
        try:
            one.kill()
        except OSError:
            pass


directories = []
daemons = []


def skip(why):
    print("skipped: " + why, flush=True)
    sys.exit(77)


def enter():
    """Runs this program again in network and mount namespaces of its own."""
    if os.environ.get("BANDD_TEST_NAMESPACE") != "inside":
        inside = os.path.join(TREE, "tests/support/in-namespace")
        os.execv(inside, [inside, sys.executable, os.path.realpath(sys.argv[0]), *sys.argv[1:]])
    for program in ("bandd", "bandctl", "bandd-root", "bandd-kernel"):
        if not os.access(os.path.join(BUILD, program), os.X_OK):
            skip(f"no {program} in {BUILD}; build it, or set BANDD_BUILD")
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by `leave_nothing`


def say(text):
    print(text, flush=True)


def check(what, good, detail=""):
    if good:
        say(f"ok: {what}" + (f" ({detail})" if detail else ""))
    else:
        say(f"FAILED: {what}" + (f": {detail}" if detail else ""))
        failures.append(what)
    return good


def finish():
    for one in daemons:
        one.kill()
    for directory in directories:
        if failures and os.environ.get("TRIAL_KEEP"):
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    say(f"{len(failures)} of the checks failed: " + "; ".join(failures) if failures else "all checks passed")
    sys.stdout.flush()
    os._exit(1 if failures else 0)


def wait_for(condition, seconds=10.0, pause=0.01):
    """Its last value, once it is true or the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(pause)


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def run(command, seconds=60, **options):
    """A command's exit status and output; -1 if it took too long."""
    try:
        done = subprocess.run(command, shell=isinstance(command, str), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, text=True, errors="replace", **options)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        out = late.stdout or b""
        return -1, out if isinstance(out, str) else out.decode(errors="replace")


def need(command, **options):
    status, out = run(command, **options)
    if status != 0:
        raise RuntimeError(f"{command}: status {status}: {out}")
    return out


def children_of(pid):
    """The pids below this one, at any depth."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read(f"/proc/{name}/stat").rpartition(")")[2].split()
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
    found, left = [], [pid]
    while left:
        for child in parents.get(left.pop(), []):
            found.append(child)
            left.append(child)
    return found


def name_of(pid):
    return read(f"/proc/{pid}/comm").strip()


def state_of(pid):
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]


def memory_of(pid):
    """MiB of its own: what it has mapped that nobody shares."""
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def descriptors_of(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


FILTER = r"""description: a trial
failregex:
  - {id: denied, regex: '^denied <F-USER>\S+</F-USER> <HOST>$'}
samples:
  - {line: denied bob 203.0.113.9, match: denied}
  - {line: allowed bob 203.0.113.9, match: none}
"""


class Daemon:
    def __init__(self, prefix=(), environment=None, directory=None):
        self.dir = directory or tempfile.mkdtemp(prefix="bandd-trial-")
        os.chmod(self.dir, 0o755)
        if directory is None:
            directories.append(self.dir)
        self.prefix, self.environment, self.process = list(prefix), environment or {}, None
        write(self.path("filters/app.yaml"), FILTER)
        daemons.append(self)

    def path(self, name):
        return os.path.join(self.dir, name)

    def configure(self, jails, other=""):
        """`jails`: YAML below `jails:`, indented by two."""
        write(self.path("bandd.yaml"), "state: run/state.db\nsocket: run/socket\n" + other + "\njails:\n" + jails)

    def start(self, seconds=60, must=True, options=()):
        """Seconds that it took until it said that it has started; None if it ended instead."""
        before = len(self.log())
        begin = time.monotonic()
        with open(self.path("daemon.log"), "a") as out:
            self.process = subprocess.Popen([*self.prefix, os.path.join(BUILD, "bandd"), "--config", self.dir, *options],
                                            stdout=out, stderr=out, env={**os.environ, **self.environment})
        good = wait_for(lambda: " started: " in self.log()[before:] or self.process.poll() is not None, seconds)
        took = time.monotonic() - begin
        if good and self.process.poll() is None:
            return took
        if must:
            raise RuntimeError("bandd did not start:\n" + self.log()[before:][-3000:])
        return None

    @property
    def pid(self):
        """The daemon's own, also if it was started through another program."""
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            if name_of(pid) == "bandd":
                return pid
        return self.process.pid

    def all_pids(self):
        return [self.process.pid, *children_of(self.process.pid)]

    def helper(self, name):
        for pid in self.all_pids():
            if name_of(pid) == name[:15]:
                return pid
        return None

    def stop(self, number=signal.SIGTERM, seconds=60):
        """Exit status; its helpers are waited for, too."""
        if self.process is None:
            return None
        helpers = children_of(self.process.pid)
        if self.process.poll() is None:
            os.kill(self.pid, number)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        wait_for(lambda: not [p for p in helpers if name_of(p).startswith("bandd") and state_of(p) not in (["Z"], [])], 10)
        self.process = None
        return status

    def kill(self):
        return self.stop(signal.SIGKILL)

    def log(self):
        return read(self.path("daemon.log"))

    def said(self, text, seconds=10):
        return wait_for(lambda: text in self.log(), seconds)

    def times_said(self, text):
        return self.log().count(text)

    def ctl(self, *arguments, seconds=60):
        return run([*self.prefix, os.path.join(BUILD, "bandctl"), "--config", self.dir, *arguments], seconds)

    def json(self, *arguments, seconds=60):
        out = self.ctl(*arguments, "--json", seconds=seconds)[1]
        try:
            return json.loads(out)
        except ValueError:
            return {"not json": out}

    def bans(self, jail=None):
        """The addresses that are banned, with what state each has."""
        all_of_them = self.json("bans")
        return {one["ip"]: one["state"] for one in all_of_them.get("bans", []) if jail in (None, one["jail"])}

    def append(self, text, name="app.log"):
        with open(self.path(name), "a") as file:
            file.write(text)

    def denied(self, *addresses, name="app.log", times=1):
        date = time.strftime("%Y-%m-%d %H:%M:%S")
        self.append("".join(f"{date} denied bob {one}\n" for one in addresses) * times, name)


def in_kernel(jail="app"):
    """The IPv4 addresses that the jail's nftables set holds."""
    status, out = run(["nft", "-j", "list", "set", "inet", "bandd", f"{jail}-ipv4"])
    if status != 0:
        return set()
    found = set()
    for part in json.loads(out)["nftables"]:
        for element in part.get("set", {}).get("elem", []):
            value = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
            if isinstance(value, dict) and "prefix" in value:
                value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
            found.add(str(value))
    return found


class Elements:
    """What the kernel tells of sets' new elements, as it comes."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)              # SO_RCVBUFFORCE
        self.socket.bind((0, 1 << 6))                                        # NFNLGRP_NFTABLES

    def wait(self, address, seconds=10):
        """Seconds until a message holds this IPv4 address; None if none came."""
        wanted, begin = socket.inet_aton(address), time.monotonic()
        while (left := begin + seconds - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if wanted in self.socket.recv(1 << 20):
                    return time.monotonic() - begin
            except TimeoutError:
                break
            except OSError:  # too much came at once
                continue
        return None


class Latencies(list):
    """Sorted milliseconds, and how long the machine took at the same times to hand two bytes to another
    process and back: nobody is quicker than the machine."""

    def at(self, part):
        return self[min(len(self) - 1, int(len(self) * part))]

    def are_prompt(self, part=0.99):
        return self.at(part) < 50 + self.noise.at(part)

    def __str__(self):
        return spread(self) + (f"; a process' answer by a pipe: 99 % {self.noise.at(0.99):.1f}, most {self.noise[-1]:.1f}" if hasattr(self, "noise") else "")


def echo():
    """A process that gives back each byte: its pid, where to write, where to read."""
    to, back = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to[1])
        while byte := os.read(to[0], 1):
            os.write(back[1], byte)
        os._exit(0)
    os.close(to[0])
    os.close(back[1])
    return pid, to[1], back[0]


def ban_latency(daemon, number, pause=0.02, net="198.18", name="app.log", hits=1):
    """Bans so many addresses of `net`.0.0/16 one after the other by lines; sorted milliseconds from a line
    to the kernel's set. An address that did not come within 10 s counts as 10,000."""
    elements, found, noise, (pid, to, back) = Elements(), Latencies(), Latencies(), echo()
    for i in range(number):
        address = f"{net}.{i // 250}.{i % 250 + 1}"
        daemon.denied(address, name=name, times=hits)
        took = elements.wait(address)
        found.append(10000.0 if took is None else took * 1000)
        time.sleep(pause)
        begin = time.monotonic()
        for _ in range(2):
            os.write(to, b"x")
            os.read(back, 1)
        noise.append((time.monotonic() - begin) * 1000)
    os.close(to)
    os.close(back)
    os.waitpid(pid, 0)
    found.sort()
    noise.sort()
    found.noise = noise
    return found


def spread(sorted_values, unit="ms"):
    if not sorted_values:
        return "nothing"
    at = lambda part: sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))]
    return f"median {at(0.5):.2f}, 99 % {at(0.99):.1f}, most {sorted_values[-1]:.1f} {unit} of {len(sorted_values)}"


def offsets_of(database):
    """How far the state says that each log is read: of this version of its tables, or of those before 4."""
    if database.execute("select 1 from sqlite_master where name = 'files'").fetchone():
        return database.execute("select offset from files where path <> '' and gone = 0").fetchall()
    return database.execute("select offset from positions").fetchall()
