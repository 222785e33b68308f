# hMailServer with a list of countries: connections of its TCP/IP log, more than 10 on one calendar day; and the line
# that its event script writes.
--- facts
79.124.62.0/24 BG
100.24.0.0/13 US
95.165.0.0/16 RU
--- config
geoip: /no/such/file/is/opened.mmdb
jails:
  at-once: {logpath: /log, filter: hmailserver-connections, where: 'country in [BG]', maxretry: 1, bantime: 1h}
  hammer: {logpath: /log, filter: hmailserver-connections, where: 'country in [RU]', maxretry: 3, findtime: today, bantime: 1h}
  foreign: {logpath: /log, filter: hmailserver-connections, where: 'country not in [US, RU, BG]', maxretry: 1}
  hmailserver-events: {logpath: /events, maxretry: 1, bantime: 1h}
--- log
17:00:00 Nov 21 17:00:00 mail "TCPIP"#0112824#011"2026-11-21 17:00:00.406"#011"TCP - 79.124.62.14 connected to 192.168.1.101:25."
17:00:01 Nov 21 17:00:01 mail "TCPIP"#0112824#011"2026-11-21 17:00:01.406"#011"TCP - 100.24.1.1 connected to 192.168.1.101:25."
# Neither private addresses nor those of no country are foreign.
17:00:02 Nov 21 17:00:02 mail "TCPIP"#0112824#011"2026-11-21 17:00:02.406"#011"TCP - 192.168.1.7 connected to 192.168.1.101:25."
17:00:03 Nov 21 17:00:03 mail "TCPIP"#0112824#011"2026-11-21 17:00:03.406"#011"TCP - 8.8.8.8 connected to 192.168.1.101:25."
# Two on one day and two on the next are no three on one day, though they lie within minutes.
23:58:00 Nov 21 23:58:00 mail "TCPIP"#0112824#011"2026-11-21 23:58:00.406"#011"TCP - 95.165.1.1 connected to 192.168.1.101:25."
23:59:00 Nov 21 23:59:00 mail "TCPIP"#0112824#011"2026-11-21 23:59:00.406"#011"TCP - 95.165.1.1 connected to 192.168.1.101:25."
24:01:00 Nov 22 00:01:00 mail "TCPIP"#0112824#011"2026-11-22 00:01:00.406"#011"TCP - 95.165.1.1 connected to 192.168.1.101:25."
24:02:00 Nov 22 00:02:00 mail "TCPIP"#0112824#011"2026-11-22 00:02:00.406"#011"TCP - 95.165.1.1 connected to 192.168.1.101:25."
47:59:00 Nov 22 23:59:00 mail "TCPIP"#0112824#011"2026-11-22 23:59:00.406"#011"TCP - 95.165.1.1 connected to 192.168.1.101:25."
--- log /events
48:00:00 4376	"2026-11-23 00:00:00.000"	"[Blacklist] OnClientConnect: 79.124.62.14 - BG is in the Blacklist and the session is disconnected."
=> 17:00:00 ban 79.124.62.14 at-once until 18:00:00
=> 18:00:00 unban 79.124.62.14 at-once
=> 11-22 23:59:00 ban 95.165.1.1 hammer until 11-23 00:59:00
=> 11-23 00:00:00 ban 79.124.62.14 hmailserver-events until 11-23 01:00:00
=> 11-23 00:59:00 unban 95.165.1.1 hammer
=> 11-23 01:00:00 unban 79.124.62.14 hmailserver-events
