# Whoever has the password of an account that is refused goes on trying: mostly its owner's programs. He is not banned
# for it, whether the server asks after the password or before. Countries and wrong passwords count.
--- config
geoip: /unused
access: {countries: [US, DE, FR]}
accounts: {countries: 1}
jails:
  refused: {source: access, maxretry: 2, findtime: 10m, bantime: 1h}
--- facts
8.1.0.0/16 US
8.2.0.0/16 DE
8.3.0.0/16 FR
8.5.0.0/16 CN
--- asked
01:00:00 smtp joe 8.1.0.1 proven
01:00:01 smtp joe 8.2.0.1 proven
01:00:02 smtp joe 8.1.0.1 proven
01:00:03 smtp joe 8.1.0.1 proven
01:00:04 imap joe 8.1.0.1
01:00:05 imap joe 8.1.0.1
01:00:06 imap joe 8.3.0.1
01:00:07 imap joe 8.3.0.1
# A thief who turns to other accounts, and places that are not allowed.
01:00:08 imap ann 8.2.0.1 wrong
01:00:09 imap bob 8.2.0.1 wrong
01:00:10 imap joe 8.5.0.1
01:00:11 imap ann 8.5.0.1 proven
=> 01:00:01 refuse joe 8.2.0.1: 2 countries in 1d
=> 01:00:01 account joe has 2 countries in 1d
=> 01:00:02 refuse joe 8.1.0.1: 2 countries in 1d
=> 01:00:03 refuse joe 8.1.0.1: 2 countries in 1d
=> 01:00:04 refuse joe 8.1.0.1: 2 countries in 1d
=> 01:00:05 refuse joe 8.1.0.1: 2 countries in 1d
=> 01:00:06 refuse joe 8.3.0.1: 3 countries in 1d
=> 01:00:07 refuse joe 8.3.0.1: 3 countries in 1d
=> 01:00:09 ban 8.2.0.1 refused until 02:00:09
=> 01:00:10 refuse joe 8.5.0.1: country CN
=> 01:00:11 refuse ann 8.5.0.1: country CN
=> 01:00:11 ban 8.5.0.1 refused until 02:00:11
=> 02:00:09 unban 8.2.0.1 refused
=> 02:00:11 unban 8.5.0.1 refused
