# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with bandd as it is shipped, and clients elsewhere that attack its real servers. See `services`.

  internet: 198.51.100.0/24, 203.0.113.0/24, 2001:db8:1000::/36 … -- 192.0.2.1, 2001:db8:0:1::1: the servers, bandd

/var/log, /etc/bandd, and the users are the test's own, so servers, rsyslogd and bandd use the paths that Debian uses.
"""
import atexit
import concurrent.futures
import contextlib
import glob
import itertools
import json
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "seeds"))
import seeds  # noqa: E402
from seeds import Background, Bandd, must, read, run, wait_for, write  # noqa: E402

SERVER, SERVER6 = "192.0.2.1", "2001:db8:0:1::1"
QUIET = 0.3  # seconds without a new line: an attempt is over
USER, PASSWORD = "joe", "Right-4711-horse"
# rsyslog's formats as Debian 12 has it, and as it was before.
FORMATS = {"ISO": "RSYSLOG_FileFormat", "traditional": "RSYSLOG_TraditionalFileFormat"}
FILTERS = {"sshd": "sshd", "Dropbear": "dropbear", "Postfix": "postfix", "Exim": "exim", "Dovecot": "dovecot", "nginx": "nginx-auth",
           "Apache": "apache-auth", "vsftpd": "vsftpd", "ProFTPD": "proftpd", "Caddy": "caddy"}
# Programs that cannot be installed beside others, unpacked by `services --unpack`.
UNPACKED = os.environ.get("BANDD_UNPACKED", "/var/cache/bandd-tests")
# Another Debian's tree: the servers and rsyslogd are its, bandd and the clients are this machine's.
ROOT = os.environ.get("BANDD_SERVERS_ROOT", "")
THERE = ["chroot", ROOT] if ROOT else []


def program(name):
    """How it is called, and the environment that it needs; None if it is nowhere."""
    for directory in os.environ["PATH"].split(":"):
        if os.access(f"{ROOT}{directory}/{name}", os.X_OK):
            return [*THERE, f"{directory}/{name}"], {}
    unpacked = f"{UNPACKED}/{name}"
    for path in glob.glob(f"{unpacked}/usr/*bin/{name}") if not ROOT else []:
        return [path], {"LD_LIBRARY_PATH": ":".join(glob.glob(f"{unpacked}/usr/lib/*-linux-gnu"))}
    return None


def version(name):
    """As it says itself."""
    option = {"dovecot": "--version", "nginx": "-v", "apache2": "-v", "vsftpd": "-v", "proftpd": "-v", "exim4": "-bV", "caddy": "version"}.get(name, "-V")
    command, environment = program(name)
    if name == "postfix":
        command, option = [*command[:-1], "/usr/sbin/postconf"], "mail_version"
    with open("/dev/null") as nothing:
        said = run(f"{' '.join(command)} {option} 0>&1 | cat", env={**os.environ, **environment}, stdin=nothing)[1]
    found = re.search(r"\d+(?:\.\d+)+(?:p\d+)?", said)
    return found.group(0) if found else "?"


def there(command):
    """A command where the servers are."""
    return must(f"{' '.join(THERE)} bash -euo pipefail <<'END'\n{command}\nEND")


def make_network():
    must(f"""
        ip netns add internet
        ip link add out netns internet type veth peer name eth
        ip address add {SERVER}/24 dev eth; ip -6 address add {SERVER6}/64 dev eth nodad
        ip -n internet address add 192.0.2.254/24 dev out; ip -n internet -6 address add 2001:db8:0:1::fe/64 dev out nodad
        # Nobody else has these addresses: no second of looking for one, in which connections are lost.
        sysctl -qw net.ipv6.conf.eth.accept_dad=0; ip netns exec internet sysctl -qw net.ipv6.conf.out.accept_dad=0
        ip link set eth up; ip -n internet link set out up; ip -n internet link set lo up
        for net in 198.51.100.0/24 203.0.113.0/24; do
          ip -n internet route add local $net dev lo; ip route add $net via 192.0.2.254
        done
        for net in 2001:db8:1000::/36 2001:db8:4000::/36; do
          ip -n internet -6 route add local $net dev lo; ip -6 route add $net via 2001:db8:0:1::fe
        done
        ip netns exec internet sysctl -qw net.ipv6.ip_nonlocal_bind=1
        """)


def make_machine(home):
    """Its logs, its users, its certificate."""
    must(f"""
        mkdir -p {home}/log {home}/joe/.ssh {home}/own
        mount --bind {home}/log /var/log
        mkdir -p /etc/bandd; mount -t tmpfs tmpfs /etc/bandd
        mkdir -p /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; ln -sf pts/ptmx /dev/ptmx
        for file in passwd group shadow; do cp -p '{ROOT}/etc/'$file {home}/own/$file; done
        echo '{USER}:x:4711:4711::{home}/joe:/bin/bash' >> {home}/own/passwd; echo '{USER}:x:4711:' >> {home}/own/group
        echo "{USER}:$(openssl passwd -6 '{PASSWORD}'):20000:0:99999:7:::" >> {home}/own/shadow
        for file in passwd group shadow; do mount --bind {home}/own/$file '{ROOT}/etc/'$file; done
        for key in right wrong1 wrong2 wrong3; do ssh-keygen -q -t ed25519 -N '' -f {home}/$key; done
        cp {home}/right.pub {home}/joe/.ssh/authorized_keys; chown -R 4711:4711 {home}/joe; chmod 700 {home}/joe/.ssh
        cd {home}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
          -keyout key.pem -out cert.pem -subj /CN=mx.example.org
        """)
    if ROOT:
        must(f"""for place in /proc /dev /run /var/log {home}; do mkdir -p '{ROOT}'$place; mount --rbind $place '{ROOT}'$place; done""")
    there("mkdir -p /run/sshd /var/spool/rsyslog")


class Rsyslog:
    """With the rules of Debian 12."""

    def __init__(self, home, form):
        write(f"{home}/rsyslog.conf", f"""
module(load="imuxsock")
$ActionFileDefaultTemplate {FORMATS[form]}
$FileOwner root
$FileGroup adm
$FileCreateMode 0640
$Umask 0022
*.*;auth,authpriv.none  -/var/log/syslog
auth,authpriv.*  /var/log/auth.log
mail.*  -/var/log/mail.log
""")
        self.process = Background([*THERE, "rsyslogd", "-n", "-f", f"{home}/rsyslog.conf", "-i", f"{home}/rsyslog.pid"],
                                  f"{home}/rsyslog.out")
        wait_for(lambda: os.path.exists("/dev/log"))
        run("logger -p auth.info hello; logger -p mail.info hello")
        wait_for(lambda: "hello" in read("/var/log/mail.log") and "hello" in read("/var/log/auth.log"))

    def end(self):
        self.process.end()
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/dev/log")


class Shipped(Bandd):
    """bandd with its shipped configuration and jails, as packaging/setup makes /etc/bandd."""

    def __init__(self, home):
        super().__init__(home)
        self.etc = "/etc/bandd"

    def configure(self):
        must(f"""
            rm -rf /etc/bandd/* {self.home}/lib; install -d /etc/bandd/jails
            install -m 644 '{seeds.SOURCE}'/jails/*.yaml /etc/bandd/jails/
            sed -e '$a state: {self.home}/lib/bandd.db\\nsocket: {self.home}/lib/bandd.sock' \
              '{seeds.SOURCE}/packaging/bandd.yaml' > /etc/bandd/bandd.yaml""")


# Attackers and others.

class Addresses:
    """New ones, each of another network, so that no ban of one is for another."""

    def __init__(self):
        self.lock, self.number = threading.Lock(), 0

    def new(self, six=False, innocent=False):
        with self.lock:
            self.number += 1
            if six:
                return f"2001:db8:{(0x4000 if innocent else 0x1000) + self.number:x}::9"
            return f"{'198.51.100' if innocent else '203.0.113'}.{self.number % 250 + 1}"


def server_of(source):
    return SERVER6 if ":" in source else SERVER


def client(command, seconds=90, **environment):
    """A real client, elsewhere."""
    return run(["ip", "netns", "exec", "internet", *command], seconds, env={**os.environ, **environment})[1]


def opens(source, port, seconds=1):
    """Whether a connection from there is taken."""
    with seeds.netns("internet"):
        with contextlib.suppress(OSError):
            seeds.Talk(port, source, server_of(source), seconds=seconds).close()
            return True
    return False


def talk(source, port, tls=False):
    with seeds.netns("internet"):
        return seeds.Talk(port, source, server_of(source), tls=tls)


def hydra(service, passwords, tasks=4, seconds=40, options=()):
    """An attempt of Hydra: it cannot choose its address, so it has a machine of its own."""
    def attempt(source, _):
        name = f"h{source.split('.')[-1]}"
        net = f"100.64.{name[1:]}"
        if not os.path.exists(f"/run/netns/{name}"):
            must(f"""
                ip netns add {name}; ip link add out netns {name} type veth peer name {name}
                ip link set {name} up; ip address add {net}.1/24 dev {name}
                ip -n {name} address add {net}.2/24 dev out; ip -n {name} address add {source}/32 dev lo
                ip -n {name} link set lo up; ip -n {name} link set out up
                ip -n {name} route add {SERVER} via {net}.1 src {source}; ip route add {source}/32 via {net}.2""")
        run(["ip", "netns", "exec", name, "hydra", "-I", "-l", USER, "-P", passwords, "-t", str(tasks), "-w", "3", *options,
             f"{service}://{SERVER}"], seconds, cwd="/run")
    return attempt


def lines_of(address, skip=("syslog",)):
    """All lines of the logs that name it, by log."""
    found = []
    for path in sorted(glob.glob("/var/log/**/*", recursive=True)):
        if os.path.isfile(path) and os.path.basename(path) not in skip:
            found += [f"{os.path.relpath(path, '/var/log')}: {line}" for line in read(path).splitlines()
                      if re.search(rf"(?<![\w.]){re.escape(address)}(?!\w|\.\d)", line)]
    return found


# What a server answers on a connection that it took before, by port.
QUESTIONS = {21: "NOOP\r\n", 22: "SSH-2.0-client\r\n", 25: "NOOP\r\n", 80: "GET / HTTP/1.0\r\n\r\n", 143: "a NOOP\r\n"}


class Early:
    """A connection that was there before."""

    def __init__(self, source, port):
        self.talk, self.question = talk(source, port), QUESTIONS[port]
        if port != 80:
            self.talk.hear()

    def answered(self, seconds):
        """Whether the server answers now. What it said before, as that it has waited for too long, does not matter."""
        try:
            self.talk.socket.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                while self.talk.socket.recv(1000):
                    pass
            self.talk.put(self.question)
            self.talk.socket.settimeout(seconds)
            return len(self.talk.socket.recv(1000)) > 0
        except OSError:
            return False
        finally:
            self.talk.close()


class Attack:
    """One way to attack a service. `attempt(address, n)` makes attempt n. `expected`: how many until it is closed (or from
    and to), None: it stays open, and `note` says why. `user`: whom the lines name."""

    def __init__(self, service, what, ports, attempt, expected=5, six=False, user=None, note=""):
        self.service, self.what, self.ports, self.attempt = service, what, ports, attempt
        self.expected, self.six, self.user, self.note = expected, six, user, note
        self.early = not six and what.startswith("wrong password")  # beside a connection that is there before
        self.closed = self.address = None


class Innocent:
    """Somebody who must not be banned. `visit(address)`: whether all went as it should."""

    def __init__(self, service, what, visit, six=False):
        self.service, self.what, self.visit, self.six = service, what, visit, six


class Field:
    """Runs attacks and ordinary clients, and remembers the table."""

    def __init__(self, check, bandd):
        self.check, self.bandd, self.addresses = check, bandd, Addresses()
        self.rows = []
        self.banned, self.looks, self.watching = set(), 0, False

    def watch(self):
        """What bandd says is banned, asked all the time."""
        self.banned, self.watching = set(), True

        def look():
            while self.watching:
                with contextlib.suppress(ValueError, KeyError):
                    self.banned = set(self.bandd.bans())
                self.looks += 1
                time.sleep(0.1)
        threading.Thread(target=look, daemon=True).start()

    def has(self, address):
        prefix = f"{':'.join(address.split(':')[:3])}::/64" if ":" in address else address
        return prefix in self.banned

    def settle(self, address):
        """Until bandd has had time for all that was logged of it, or has banned it."""
        before, since, looks = lines_of(address), time.monotonic(), self.looks
        while time.monotonic() - since < QUIET or self.looks < looks + 3:
            if self.has(address):
                return
            time.sleep(0.1)
            if (after := lines_of(address)) != before:
                before, since, looks = after, time.monotonic(), self.looks

    def attempts(self, attack):
        attack.address = self.addresses.new(attack.six)
        early = Early(attack.address, attack.ports[0]) if attack.early else None
        most = attack.expected[1] if isinstance(attack.expected, tuple) else attack.expected or 4
        for n in range(1, most + 4):
            attack.attempt(attack.address, n)
            self.settle(attack.address)
            if self.has(attack.address):
                attack.closed = n
                innocent = self.addresses.new(attack.six, innocent=True)
                if early:
                    attack.answered = early.answered(2), Early(innocent, attack.ports[0]).answered(20)
                attack.still_open = [port for port in attack.ports if opens(attack.address, port)]
                attack.shut_to_others = [port for port in attack.ports if not opens(innocent, port, 20)]
                return

    def visit(self, innocent):
        innocent.address = self.addresses.new(innocent.six, innocent=True)
        innocent.well = innocent.visit(innocent.address)
        self.settle(innocent.address)

    def judge(self, attack):
        name = f"{attack.service}: {attack.what}"
        few, many = attack.expected if isinstance(attack.expected, tuple) else (attack.expected, attack.expected)
        self.check.ok(f"{name}: " + (f"closed after {attack.expected}" if few else "stays open"),
                      few <= (attack.closed or 0) <= many if few else not attack.closed,
                      f"closed after {attack.closed}, not {attack.expected}\n" + "\n".join(lines_of(attack.address)))
        if attack.closed:
            self.check.equal("… then none of its ports is open", attack.still_open, [])
            if attack.early:
                self.check.equal("… nor is a connection of before served, but those of others are", attack.answered, (False, True))
            self.check.equal("… but to others", attack.shut_to_others, [])
        if attack.what == "Hydra":
            judged = [line for line in lines_of(attack.address) if re.search("mismatch|authentication failure for|FAIL LOGIN|Login failed|authenticator failed", line)]
            attack.note = f"four connections at once, {len(judged)} passwords"
        if attack.user:
            self.check.equal("… all hits name address and user", self.named(attack), {(attack.address, attack.user)})
        self.rows.append((attack, lines_of(attack.address)))

    def named(self, attack):
        """Addresses and users that the service's filter finds in the lines of an attack."""
        found = set()
        for log, lines in itertools.groupby(lines_of(attack.address), lambda line: line.partition(": ")[0]):
            write(f"{self.bandd.home}/lines", "".join(line.partition(": ")[2] + "\n" for line in lines))
            said = run([f"{seeds.BUILD}/bandctl", "test", "--json", FILTERS[attack.service], f"{self.bandd.home}/lines"], 120)[1]
            hits = [json.loads(line) for line in said.splitlines() if '"verdict":"hit"' in line]
            found |= {(hit["ip"], hit["fields"].get("user")) for hit in hits}
        return found

    def run(self, attacks, innocents, workers=24):
        """All at once, as the servers make who guesses wait."""
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda job: job(), [lambda one=one: self.attempts(one) for one in attacks] +
                          [lambda one=one: self.visit(one) for one in innocents]))
        for attack in attacks:
            self.judge(attack)
        for one in innocents:
            self.check.ok(f"{one.service}: {one.what}: is served", one.well, "\n".join(lines_of(one.address)) or "no line")
            self.check.ok("… and is not banned", not self.has(one.address), "\n".join(lines_of(one.address)))
