--- config
defaults: {findtime: 10m, maxretry: 1, bantime: 5m, ignoreip: [192.0.2.0/24]}
jails:
  ssh:
    logpath: /log
    filter: sshd
    bantime.increment: {factor: 2, maximum: 15m}
  recidive: {source: bans, findtime: 1d, maxretry: 3, bantime: 1w}
--- log
10:00:00 Nov 21 10:00:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
10:00:01 Nov 21 10:00:01 gate sshd[1]: Failed password for root from 192.0.2.77 port 1 ssh2
10:10:00 Nov 21 10:10:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
10:30:00 Nov 21 10:30:00 gate sshd[1]: Failed password for root from 203.0.113.1 port 1 ssh2
=> 10:00:00 ban 203.0.113.1 ssh until 10:05:00
=> 10:05:00 unban 203.0.113.1 ssh
=> 10:10:00 ban 203.0.113.1 ssh until 10:20:00
=> 10:20:00 unban 203.0.113.1 ssh
=> 10:30:00 ban 203.0.113.1 ssh until 10:45:00
=> 10:30:00 ban 203.0.113.1 recidive until 11-28 10:30:00
=> 10:45:00 unban 203.0.113.1 ssh
=> 11-28 10:30:00 unban 203.0.113.1 recidive
