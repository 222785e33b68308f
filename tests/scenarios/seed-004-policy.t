# The same by Postfix's questions, which prove that the password was right: the sixth country is refused, and with it
# the account, until fewer than six lie within a day.
--- config
geoip: /unused
accounts: {findtime: 24h, countries: 5, addresses: 20}
jails: {}
--- facts
8.1.0.0/16 US
8.2.0.0/16 DE
8.3.0.0/16 FR
8.4.0.0/16 IT
8.5.0.0/16 CN
8.6.0.0/16 BR
--- asked
01:00:00 smtp joe@example.org 8.1.0.1 proven
02:00:00 smtp joe@example.org 8.2.0.1 proven
03:00:00 smtp Joe@example.org 8.3.0.1 proven
03:00:01 smtp joe@example.org 10.1.2.3 proven
03:00:02 smtp joe@example.org 203.0.113.1 proven
04:00:00 smtp joe@example.org 8.4.0.1 proven
05:00:00 smtp joe@example.org 8.5.0.1 proven
# Who only tries from a sixth country is refused; the account is not, as the password may have been wrong.
05:30:00 imap joe@example.org 8.6.0.1
05:30:01 imap joe@example.org 8.5.0.1
06:00:00 smtp joe@example.org 8.6.0.1 proven
07:00:00 smtp joe@example.org 8.6.0.2 proven
08:00:00 imap joe@example.org 8.5.0.1
25:00:00 imap joe@example.org 8.5.0.1
25:00:01 imap joe@example.org 8.5.0.1
=> 05:30:00 refuse joe@example.org 8.6.0.1: 6 countries in 1d
=> 06:00:00 refuse joe@example.org 8.6.0.1: 6 countries in 1d
=> 06:00:00 account joe@example.org has 6 countries in 1d
=> 07:00:00 refuse joe@example.org 8.6.0.2: 6 countries in 1d
=> 08:00:00 refuse joe@example.org 8.5.0.1: 6 countries in 1d
=> 11-22 01:00:00 refuse joe@example.org 8.5.0.1: 6 countries in 1d
