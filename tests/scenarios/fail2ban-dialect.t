# A filter as fail2ban has it: the whole line without its date, prefregex, lines of one connection.
--- config
jails:
  app: {logpath: /log, maxretry: 2, findtime: 10m, bantime: 1h}
  slow: {logpath: /log, maxretry: 1, findtime: 10m, bantime: 1h}
--- filter app
dialect: fail2ban
prefregex: '^\s+\S+ app\[<F-MLFID>\d+</F-MLFID>\]: <F-CONTENT>.+</F-CONTENT>$'
failregex:
  - '^<F-NOFAIL>connect</F-NOFAIL> from <HOST>$'
  - '^denied <F-USER>\S+</F-USER>$'
  - '^<F-MLFFORGET><F-MLFGAINED>welcome</F-MLFGAINED></F-MLFFORGET> <F-USER>\S+</F-USER>$'
ignoreregex:
  - 'denied backup$'
--- filter slow
dialect: fail2ban
maxlines: 3
failregex:
  - '^ \S+ db: begin .*$<SKIPLINES>^ \S+ db: failed for <HOST>$'
--- log
10:00:00 Nov 21 10:00:00 mx app[1]: connect from 203.0.113.1
10:00:01 Nov 21 10:00:01 mx app[2]: connect from 203.0.113.2
10:00:02 Nov 21 10:00:02 mx app[1]: denied joe
10:00:03 Nov 21 10:00:03 mx app[2]: denied ann
10:00:04 Nov 21 10:00:04 mx app[2]: welcome ann
10:00:05 Nov 21 10:00:05 mx app[1]: denied backup
10:00:06 Nov 21 10:00:06 mx app[1]: denied joe
10:00:07 Nov 21 10:00:07 mx db: begin query
10:00:08 Nov 21 10:00:08 mx db: something else
10:00:09 Nov 21 10:00:09 mx db: failed for 203.0.113.3
10:00:10 Nov 21 10:00:10 mx db: failed for 203.0.113.4
# The text of a client cannot set the time or another connection's id.
10:00:11 Nov 21 10:00:11 mx app[9]: denied Nov 21 09:00:00 mx app[1]: denied joe
=> 10:00:06 ban 203.0.113.1 app until 11:00:06
=> 10:00:09 ban 203.0.113.3 slow until 11:00:09
=> 11:00:06 unban 203.0.113.1 app
=> 11:00:09 unban 203.0.113.3 slow
