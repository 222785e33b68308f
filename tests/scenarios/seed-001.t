# The set-up of the document that bandd grew from: NXLog, rsyslog, hMailServer.
--- config
jails:
  fu_hmail:
    logpath: /log
    filter: hmailserver
    maxretry: 1
    bantime: 1d
    lists:
      unwanted_ehlo: ["*.us", "*clickdimensions.com", "adams.edu"]
      unwanted_senders: ["bounce@aweber.com", "goof@gmail.com", "spameri@tiscali.it"]
--- log
17:02:35 Nov 21 17:02:35 mail "TCPIP"#0112824#011"2026-11-21 17:02:34.406"#011"TCP - 54.240.13.35 connected to 192.168.1.101:25."
17:02:35 Nov 21 17:02:35 mail "SMTPD"#0112824#0119493#011"2026-11-21 17:02:34.406"#011"54.240.13.35"#011"SENT: 220 Dude, Wassup!"
17:02:35 Nov 21 17:02:35 mail "SMTPD"#0112096#0119493#011"2026-11-21 17:02:34.453"#011"54.240.13.35"#011"RECEIVED: EHLO a13-35.smtp-out.amazonses.com"
17:02:36 Nov 21 17:02:36 mail "SMTPD"#0112096#0119494#011"2026-11-21 17:02:35.453"#011"203.0.113.1"#011"RECEIVED: EHLO mail.clickdimensions.com"
17:02:37 Nov 21 17:02:37 mail "SMTPD"#0112096#0119495#011"2026-11-21 17:02:36.453"#011"203.0.113.2"#011"RECEIVED: Mail from:<bounce@aweber.com>"
17:02:38 Nov 21 17:02:38 mail "SMTPD"#0112096#0119496#011"2026-11-21 17:02:37.453"#011"203.0.113.3"#011"SENT: 503 Bad sequence of commands"
17:02:39 Nov 21 17:02:39 mail "SMTPD"#0112096#0119497#011"2026-11-21 17:02:38.453"#011"2001:db8::4"#011"SENT: 504 Authentication not enabled."
17:02:40 Nov 21 17:02:40 mail "SMTPD"#0112096#0119496#011"2026-11-21 17:02:39.453"#011"203.0.113.3"#011"SENT: 503 Bad sequence of commands"
=> 17:02:36 ban 203.0.113.1 fu_hmail until 11-22 17:02:36
=> 17:02:37 ban 203.0.113.2 fu_hmail until 11-22 17:02:37
=> 17:02:38 ban 203.0.113.3 fu_hmail until 11-22 17:02:38
=> 17:02:39 ban 2001:db8::/64 fu_hmail until 11-22 17:02:39
=> 11-22 17:02:36 unban 203.0.113.1 fu_hmail
=> 11-22 17:02:37 unban 203.0.113.2 fu_hmail
=> 11-22 17:02:38 unban 203.0.113.3 fu_hmail
=> 11-22 17:02:39 unban 2001:db8::/64 fu_hmail
