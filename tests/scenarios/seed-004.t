# Stolen accounts: more than five countries, or more than 20 addresses, within a day. By log lines of logins that
# succeeded, and by Postfix's questions. Logins of the own network do not count.
--- config
geoip: /unused
accounts: {findtime: 24h, countries: 5, addresses: 3, ignoreip: [198.51.100.0/24]}
jails:
  postfix-logons: {logpath: /mail, filter: postfix-logons, count: distinct country by user}
  dovecot-logons: {logpath: /mail, filter: dovecot-logons, count: distinct country by user}
--- facts
10.0.0.0/8 private
8.1.0.0/16 US
8.2.0.0/16 DE
8.3.0.0/16 FR
8.4.0.0/16 IT
8.5.0.0/16 CN
8.6.0.0/16 BR
--- log /mail
10:00:00 Nov 21 10:00:00 mx postfix/smtps/smtpd[1]: 4Xy1: client=unknown[8.1.0.1], sasl_method=PLAIN, sasl_username=many
10:00:01 Nov 21 10:00:01 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=8.1.0.2, lip=192.0.2.1, mpid=2, TLS, session=<a>
10:00:02 Nov 21 10:00:02 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=8.1.0.3, lip=192.0.2.1, mpid=2, TLS, session=<a>
10:00:03 Nov 21 10:00:03 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=8.1.0.3, lip=192.0.2.1, mpid=2, TLS, session=<a>
10:00:04 Nov 21 10:00:04 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=198.51.100.9, lip=192.0.2.1, mpid=2, TLS, session=<a>
10:00:05 Nov 21 10:00:05 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=8.1.0.4, lip=192.0.2.1, mpid=2, TLS, session=<a>
10:00:06 Nov 21 10:00:06 mx dovecot: imap-login: Login: user=<many>, method=PLAIN, rip=8.1.0.5, lip=192.0.2.1, mpid=2, TLS, session=<a>
--- asked
10:01:00 imap many 8.1.0.1
10:01:01 imap many 198.51.100.9
10:01:02 imap few 8.1.0.1
=> 10:00:05 account many has 4 addresses in 1d
=> 10:01:00 refuse many 8.1.0.1: 5 addresses in 1d
=> 10:01:01 refuse many 198.51.100.9: 5 addresses in 1d
