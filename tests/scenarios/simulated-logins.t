# To try limits: what would be refused is told, nobody is refused, and nothing counts as a failure. What a postmaster
# blocks is no try, and wrong passwords are wrong.
--- config
geoip: /unused
access: {simulate: true, countries: [US, DE]}
accounts: {simulate: true, countries: 1}
jails:
  refused: {source: access, maxretry: 2, findtime: 10m, bantime: 1h}
--- facts
8.1.0.0/16 US
8.2.0.0/16 DE
8.3.0.0/16 FR
--- asked
01:00:00 smtp joe 8.1.0.1 proven
01:00:01 smtp joe 8.2.0.1 proven
01:00:02 smtp joe 8.2.0.1 proven
01:00:03 imap joe 8.1.0.1
01:00:04 imap ann 8.3.0.1
01:00:05 imap ann 8.3.0.1
01:00:06 imap ann 8.3.0.1 wrong
01:00:07 imap ann 8.3.0.1 wrong
=> 01:00:01 would-refuse joe 8.2.0.1: 2 countries in 1d
=> 01:00:01 account joe has 2 countries in 1d (simulate)
=> 01:00:02 would-refuse joe 8.2.0.1: 2 countries in 1d
=> 01:00:03 would-refuse joe 8.1.0.1: 2 countries in 1d
=> 01:00:04 would-refuse ann 8.3.0.1: country FR
=> 01:00:05 would-refuse ann 8.3.0.1: country FR
=> 01:00:07 ban 8.3.0.1 refused until 02:00:07
=> 02:00:07 unban 8.3.0.1 refused
