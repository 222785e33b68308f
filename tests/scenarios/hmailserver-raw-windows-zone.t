# hMailServer's file itself, its times without a zone: the log's timezone tells.
--- config
jails:
  hm:
    logpath: /log
    filter: hmailserver
    maxretry: 2
    findtime: 10m
    timezone: "+0200"
  other: {logpath: /log, filter: sshd, maxretry: 1}
--- log
10:00:00 "IMAPD"	1720	51	"2026-11-21 12:00:00.000"	"203.0.113.9"	"SENT: A1 NO Invalid user name or password."
10:00:05 "POP3D"	1720	52	"2026-11-21 12:00:05.500"	"203.0.113.9"	"SENT: -ERR Invalid user name or password."
=> 10:00:05 ban 203.0.113.9 hm until 11:00:05
=> 11:00:05 unban 203.0.113.9 hm
