# Password spraying: one address, many accounts. A botnet in one block: many addresses.
--- config
jails:
  spraying: {logpath: /log, filter: app, count: distinct user by ip, maxretry: 3, findtime: 10m, bantime: 1h}
  block: {logpath: /log, filter: app, count: "distinct ip by net/24,56", maxretry: 3, findtime: 10m, bantime: 1h, ignoreip: [198.51.100.7]}
--- filter app
description: test
failregex:
  - {id: denied, regex: '^denied <F-USER>\S+</F-USER> <HOST>$'}
--- log
10:00:00 denied joe 203.0.113.1
10:00:01 denied joe 203.0.113.1
10:00:02 denied JOE 203.0.113.1
10:00:03 denied ann 203.0.113.1
10:00:04 denied bob 203.0.113.1
10:00:05 denied joe 203.0.113.2
10:00:06 denied joe 203.0.113.3
10:00:07 denied joe 198.51.100.1
10:00:08 denied joe 198.51.100.2
10:00:09 denied joe 198.51.100.3
10:00:10 denied joe 198.51.100.4
=> 10:00:04 ban 203.0.113.1 spraying until 11:00:04
=> 10:00:06 ban 203.0.113.0/24 block until 11:00:06
=> 11:00:04 unban 203.0.113.1 spraying
=> 11:00:06 unban 203.0.113.0/24 block
