# Clients with a customer line's host name, with exceptions by name and by address.
--- config
jails:
  broadband:
    logpath: /log
    filter: postfix-connections
    where: 'hostname is broadband and not hostname in ["*.trusted.example"] and not ip in [24.196.192.99]'
    broadband_words: [kunde]
    maxretry: 1
    bantime: 1h
--- log
10:00:00 Nov 21 10:00:00 mx postfix/smtpd[1]: connect from 24-196-192-021.dhcp.hckr.nc.charter.com[24.196.192.21]
10:00:01 Nov 21 10:00:01 mx postfix/smtpd[1]: connect from host21.192.196.24.isp.example[24.196.192.22]
10:00:02 Nov 21 10:00:02 mx postfix/smtpd[1]: connect from adsl.berlin.isp.example[24.196.192.23]
10:00:03 Nov 21 10:00:03 mx postfix/smtpd[1]: connect from mail.cablevision.example[24.196.192.24]
10:00:04 Nov 21 10:00:04 mx postfix/smtpd[1]: connect from unknown[24.196.192.25]
10:00:05 Nov 21 10:00:05 mx postfix/smtpd[1]: connect from ip18c4c01a.isp.example[24.196.192.26]
10:00:06 Nov 21 10:00:06 mx postfix/smtpd[1]: connect from dsl.trusted.example[24.196.192.27]
10:00:07 Nov 21 10:00:07 mx postfix/smtpd[1]: connect from dhcp.isp.example[24.196.192.99]
10:00:08 Nov 21 10:00:08 mx postfix/smtpd[1]: connect from x7.kunde.isp.example[24.196.192.28]
=> 10:00:00 ban 24.196.192.21 broadband until 11:00:00
=> 10:00:02 ban 24.196.192.23 broadband until 11:00:02
=> 10:00:05 ban 24.196.192.26 broadband until 11:00:05
=> 10:00:08 ban 24.196.192.28 broadband until 11:00:08
=> 11:00:00 unban 24.196.192.21 broadband
=> 11:00:02 unban 24.196.192.23 broadband
=> 11:00:05 unban 24.196.192.26 broadband
=> 11:00:08 unban 24.196.192.28 broadband
