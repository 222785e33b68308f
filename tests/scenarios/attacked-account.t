# One account, tried from many addresses: all of them are banned once they are too many, and then each further one;
# never an ignored one. Countries count as well.
--- config
geoip: /unused
jails:
  attacked: {logpath: /log, filter: app, count: distinct ip by user, maxretry: 3, findtime: 10m, bantime: 1h, ignoreip: [198.51.100.7]}
  countries: {logpath: /log, filter: app, count: distinct country by user, maxretry: 2, findtime: 10m, bantime: 2h}
--- facts
8.1.0.0/16 US
8.2.0.0/16 DE
--- filter app
description: test
failregex:
  - {id: denied, regex: '^denied <F-USER>\S+</F-USER> <HOST>$'}
--- log
10:00:00 denied joe 203.0.113.1
10:00:01 denied joe 203.0.113.1
10:00:02 denied joe 198.51.100.7
10:00:03 denied ann 203.0.113.9
10:00:04 denied joe 203.0.113.2
10:00:05 denied JOE 2001:db8::5
10:00:06 denied joe 203.0.113.1
10:00:07 denied joe 203.0.113.3
10:12:00 denied joe 203.0.113.4
10:13:00 denied eve 8.1.0.1
10:13:01 denied eve 8.2.0.1
=> 10:00:05 ban 203.0.113.1 attacked until 11:00:05
=> 10:00:05 ban 203.0.113.2 attacked until 11:00:05
=> 10:00:05 ban 2001:db8::/64 attacked until 11:00:05
=> 10:00:07 ban 203.0.113.3 attacked until 11:00:07
=> 10:13:01 ban 8.1.0.1 countries until 12:13:01
=> 10:13:01 ban 8.2.0.1 countries until 12:13:01
=> 11:00:05 unban 203.0.113.1 attacked
=> 11:00:05 unban 2001:db8::/64 attacked
=> 11:00:05 unban 203.0.113.2 attacked
=> 11:00:07 unban 203.0.113.3 attacked
=> 12:13:01 unban 8.1.0.1 countries
=> 12:13:01 unban 8.2.0.1 countries
