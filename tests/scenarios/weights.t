# hMailServer behind a router: one bad sequence bans at once, mistyped passwords at the fifth.
--- config
jails:
  hm:
    logpath: /log
    filter: hmailserver
    maxretry: 5
    weights: {bad-sequence: 5, authentication-not-enabled: 5, too-many-invalid-commands: 3}
  abuse: {logpath: /log, filter: hmailserver, patterns: [bad-sequence, authentication-not-enabled], maxretry: 1, bantime: 1d}
--- log
10:00:00 Nov 21 10:00:00 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.1"#011"SENT: 503 Bad sequence of commands"
=> 10:00:00 ban 203.0.113.1 hm until 11:00:00
=> 10:00:00 ban 203.0.113.1 abuse until 11-22 10:00:00
10:01:00 Nov 21 10:01:00 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.2"#011"SENT: 535 Authentication failed. Restarting authentication process."
10:01:01 Nov 21 10:01:01 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.2"#011"SENT: 535 Authentication failed. Restarting authentication process."
10:01:02 Nov 21 10:01:02 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.2"#011"SENT: Too many invalid commands. Bye!"
=> 10:01:02 ban 203.0.113.2 hm until 11:01:02
10:02:00 Nov 21 10:02:00 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.3"#011"SENT: Too many invalid commands. Bye!"
10:02:01 Nov 21 10:02:01 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.3"#011"SENT: 535 Authentication failed. Restarting authentication process."
10:12:00.500 Nov 21 10:12:00 mail "SMTPD"#0112824#0119493#011"2026-11-21 10:00:00.000"#011"203.0.113.3"#011"SENT: 535 Authentication failed. Restarting authentication process."
=> 10:12:00 ban 203.0.113.3 hm until 11:12:00
=> 11:00:00 unban 203.0.113.1 hm
=> 11:01:02 unban 203.0.113.2 hm
=> 11:12:00 unban 203.0.113.3 hm
=> 11-22 10:00:00 unban 203.0.113.1 abuse
