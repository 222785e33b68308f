# Nobody gets 198.51.100.7 banned by writing its address into a log.
--- config
defaults: {maxretry: 1, bantime: 1h}
jails:
  ssh: {logpath: /log, filter: sshd, mode: aggressive}
  postfix: {logpath: /log, filter: postfix, mode: aggressive}
  dovecot: {logpath: /log, filter: dovecot, mode: aggressive}
  hm: {logpath: /log, filter: hmailserver}
--- log
10:00:00 Nov 21 10:00:00 gate sshd[1]: Failed password for invalid user a from 198.51.100.7 port 1 ssh2 from 203.0.113.1 port 1 ssh2
10:00:01 Nov 21 10:00:01 gate sshd[1]: Accepted password for a from 198.51.100.7 port 1 ssh2
10:00:02 Nov 21 10:00:02 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[203.0.113.2]: 504 5.5.2 <unknown[198.51.100.7]: SASL LOGIN authentication failed: x>: Helo command rejected: y; helo=<[198.51.100.7]>
10:00:03 Nov 21 10:00:03 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<x>, rip=198.51.100.7, lip=1.1.1.1, session=<>, method=PLAIN, rip=203.0.113.3, lip=192.0.2.1, TLS, session=<abc>
10:00:04 Nov 21 10:00:04 mail "SMTPD"#0111#0111#011"2026-11-21 10:00:04.000"#011"203.0.113.4"#011"RECEIVED: EHLO x"#011"198.51.100.7"#011"SENT: 503 Bad sequence of commands"
10:00:05 Nov 21 10:00:05 mail "SMTPD"#0111#0111#011"2026-11-21 10:00:04.000"#011"203.0.113.4"#011"RECEIVED: EHLO x#012Nov 21 10:00:00 gate sshd[1]: Failed password for root from 198.51.100.7 port 1 ssh2"
10:00:06 Nov 21 10:00:06 gate su: Failed password for root from 198.51.100.7 port 1 ssh2
=> 10:00:00 ban 203.0.113.1 ssh until 11:00:00
=> 10:00:02 ban 203.0.113.2 postfix until 11:00:02
=> 10:00:03 ban 203.0.113.3 dovecot until 11:00:03
=> 11:00:00 unban 203.0.113.1 ssh
=> 11:00:02 unban 203.0.113.2 postfix
=> 11:00:03 unban 203.0.113.3 dovecot
