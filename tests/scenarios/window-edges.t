# Banned at the maxretry-th hit within findtime, to the second; the line's own time decides.
--- config
defaults: {findtime: 10m, maxretry: 3, bantime: 1h}
jails:
  ssh: {logpath: /log, filter: sshd}
--- log
# exactly findtime between the first and the third
10:00:00 Nov 21 10:00:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
10:05:00 Nov 21 10:05:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
10:10:00 Nov 21 10:10:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
# a second more: not yet; the next one within ten minutes of the second
10:20:00 Nov 21 10:20:00 gate sshd[1]: Failed password for root from 203.0.113.2 port 1 ssh2
10:25:00 Nov 21 10:25:00 gate sshd[1]: Failed password for root from 203.0.113.2 port 1 ssh2
10:30:01 Nov 21 10:30:01 gate sshd[1]: Failed password for root from 203.0.113.2 port 1 ssh2
10:34:59 Nov 21 10:34:59 gate sshd[1]: Failed password for root from 203.0.113.2 port 1 ssh2
# lines that arrive late count at the time they say
10:40:00 Nov 21 10:31:00 gate sshd[1]: Failed password for root from 203.0.113.3 port 1 ssh2
10:40:00 Nov 21 10:31:01 gate sshd[1]: Failed password for root from 203.0.113.3 port 1 ssh2
10:40:00 Nov 21 10:31:02 gate sshd[1]: Failed password for root from 203.0.113.3 port 1 ssh2
# from the future: as now; too old: for nothing
10:50:00 Nov 21 11:50:00 gate sshd[1]: Failed password for root from 203.0.113.4 port 1 ssh2
10:50:00 Nov 21 10:39:59 gate sshd[1]: Failed password for root from 203.0.113.4 port 1 ssh2
10:50:01 Nov 21 10:50:01 gate sshd[1]: Failed password for root from 203.0.113.4 port 1 ssh2
10:50:02 Nov 21 10:50:02 gate sshd[1]: Failed password for root from 203.0.113.4 port 1 ssh2
=> 10:10:00 ban 203.0.113.1 ssh until 11:10:00
=> 10:34:59 ban 203.0.113.2 ssh until 11:34:59
=> 10:31:02 ban 203.0.113.3 ssh until 11:31:02
=> 10:50:02 ban 203.0.113.4 ssh until 11:50:02
=> 11:10:00 unban 203.0.113.1 ssh
=> 11:31:02 unban 203.0.113.3 ssh
=> 11:34:59 unban 203.0.113.2 ssh
=> 11:50:02 unban 203.0.113.4 ssh
