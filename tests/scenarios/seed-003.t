# Who may log in from where: India and the United States for everybody, more for some users, by the file of old and by
# YAML. Who is refused three times is banned.
--- config
geoip: /unused
access:
  countries: [IN, US]
  users_file: user-allowed
  users:
    carol@example.com: [CH, 198.51.100.0/24]
jails:
  refused: {source: access, maxretry: 3, findtime: 10m, bantime: 1h}
--- file user-allowed
alice@example.com|DE
bob@example.com|200.1.2.7

	bob@example.com | FR 
--- facts
77.88.0.0/16 RU
8.8.0.0/16 US
49.0.0.0/8 IN
9.9.0.0/16 CH
5.5.0.0/16 DE
6.6.0.0/16 FR
--- asked
10:00:00 imap alice@example.com 8.8.1.1
10:00:01 imap alice@example.com 49.1.1.1
10:00:02 pop3 alice@example.com 5.5.1.1
10:00:03 pop3 bob@example.com 5.5.1.1
10:00:04 imap bob@example.com 200.1.2.7
10:00:05 imap alice@example.com 200.1.2.7
10:00:06 imap Bob@Example.com 6.6.1.1
10:00:07 imap carol@example.com 9.9.1.1
10:00:08 imap carol@example.com 198.51.100.200
10:00:09 imap dave@example.com 9.9.1.1
10:00:10 imap dave@example.com 192.168.1.7
10:00:11 smtp dave@example.com 77.88.1.1
10:00:12 smtp eve@example.com 77.88.1.1
10:00:13 smtp eve@example.com 77.88.1.1
=> 10:00:03 refuse bob@example.com 5.5.1.1: country DE
=> 10:00:05 refuse alice@example.com 200.1.2.7: country unknown
=> 10:00:09 refuse dave@example.com 9.9.1.1: country CH
=> 10:00:11 refuse dave@example.com 77.88.1.1: country RU
=> 10:00:12 refuse eve@example.com 77.88.1.1: country RU
=> 10:00:13 refuse eve@example.com 77.88.1.1: country RU
=> 10:00:13 ban 77.88.1.1 refused until 11:00:13
=> 11:00:13 unban 77.88.1.1 refused
