# An attacker who has an IPv6 block takes another /64 for each try. Where eight /64 of a /56 offend, the /56 is banned.
--- config
defaults: {findtime: 10m, maxretry: 5, bantime: 1h}
jails:
  ssh: {logpath: /log, filter: sshd}
  narrow: {logpath: /narrow, filter: sshd, ipv6_escalation: off}
  few: {logpath: /few, filter: sshd, ipv6_escalation: {56: 2, 48: 2}, ignoreip: ["2001:db8:2:100::1"]}
--- log
10:00:00 Nov 21 10:00:00 gate sshd[1]: Failed password for root from 2001:db8:1:0::1 port 1 ssh2
10:00:01 Nov 21 10:00:01 gate sshd[1]: Failed password for root from 2001:db8:1:1::1 port 1 ssh2
10:00:02 Nov 21 10:00:02 gate sshd[1]: Failed password for root from 2001:db8:1:2::1 port 1 ssh2
10:00:03 Nov 21 10:00:03 gate sshd[1]: Failed password for root from 2001:db8:1:3::1 port 1 ssh2
10:00:04 Nov 21 10:00:04 gate sshd[1]: Failed password for root from 2001:db8:1:4::1 port 1 ssh2
10:00:05 Nov 21 10:00:05 gate sshd[1]: Failed password for root from 2001:db8:1:5::1 port 1 ssh2
# another /56 of the /48
10:00:06 Nov 21 10:00:06 gate sshd[1]: Failed password for root from 2001:db8:1:100::1 port 1 ssh2
10:09:00 Nov 21 10:09:00 gate sshd[1]: Failed password for root from 2001:db8:1:6::1 port 1 ssh2
# a second too late: the first is not within findtime any more
10:10:01 Nov 21 10:10:01 gate sshd[1]: Failed password for root from 2001:db8:1:7::1 port 1 ssh2
# the first again: it is the eighth, as the second is just within findtime
10:10:01.5 Nov 21 10:10:01 gate sshd[1]: Failed password for root from 2001:db8:1:0::2 port 1 ssh2
# what is in it counts to its ban from then on
10:10:02 Nov 21 10:10:02 gate sshd[1]: Failed password for root from 2001:db8:1:8::1 port 1 ssh2
10:10:03 Nov 21 10:10:03 gate sshd[1]: Failed password for root from 2001:db8:1:1::1 port 1 ssh2
--- log /narrow
10:20:00 Nov 21 10:20:00 gate sshd[1]: Failed password for root from 2001:db8:3:0::1 port 1 ssh2
10:20:01 Nov 21 10:20:01 gate sshd[1]: Failed password for root from 2001:db8:3:1::1 port 1 ssh2
10:20:02 Nov 21 10:20:02 gate sshd[1]: Failed password for root from 2001:db8:3:2::1 port 1 ssh2
10:20:03 Nov 21 10:20:03 gate sshd[1]: Failed password for root from 2001:db8:3:3::1 port 1 ssh2
10:20:04 Nov 21 10:20:04 gate sshd[1]: Failed password for root from 2001:db8:3:4::1 port 1 ssh2
10:20:05 Nov 21 10:20:05 gate sshd[1]: Failed password for root from 2001:db8:3:5::1 port 1 ssh2
10:20:06 Nov 21 10:20:06 gate sshd[1]: Failed password for root from 2001:db8:3:6::1 port 1 ssh2
10:20:07 Nov 21 10:20:07 gate sshd[1]: Failed password for root from 2001:db8:3:7::1 port 1 ssh2
10:20:08 Nov 21 10:20:08 gate sshd[1]: Failed password for root from 2001:db8:3:8::1 port 1 ssh2
--- log /few
10:30:00 Nov 21 10:30:00 gate sshd[1]: Failed password for root from 2001:db8:2:0::1 port 1 ssh2
10:30:01 Nov 21 10:30:01 gate sshd[1]: Failed password for root from 2001:db8:2:1::1 port 1 ssh2
# an ignored address is in this /56, and in the /48
10:30:02 Nov 21 10:30:02 gate sshd[1]: Failed password for root from 2001:db8:2:100::1 port 1 ssh2
10:30:03 Nov 21 10:30:03 gate sshd[1]: Failed password for root from 2001:db8:2:101::1 port 1 ssh2
10:30:04 Nov 21 10:30:04 gate sshd[1]: Failed password for root from 2001:db8:2:102::1 port 1 ssh2
10:30:05 Nov 21 10:30:05 gate sshd[1]: Failed password for root from 2001:db8:2:201::1 port 1 ssh2
10:30:06 Nov 21 10:30:06 gate sshd[1]: Failed password for root from 2001:db8:2:202::1 port 1 ssh2
# in this /48 there is none
10:40:01 Nov 21 10:40:01 gate sshd[1]: Failed password for root from 2001:db8:4:101::1 port 1 ssh2
10:40:02 Nov 21 10:40:02 gate sshd[1]: Failed password for root from 2001:db8:4:102::1 port 1 ssh2
10:40:03 Nov 21 10:40:03 gate sshd[1]: Failed password for root from 2001:db8:4:201::1 port 1 ssh2
10:40:04 Nov 21 10:40:04 gate sshd[1]: Failed password for root from 2001:db8:4:202::1 port 1 ssh2
=> 10:10:01 ban 2001:db8:1::/56 ssh until 11:10:01
=> 10:30:01 ban 2001:db8:2::/56 few until 11:30:01
=> 10:30:06 ban 2001:db8:2:200::/56 few until 11:30:06
=> 10:40:02 ban 2001:db8:4:100::/56 few until 11:40:02
=> 10:40:04 ban 2001:db8:4:200::/56 few until 11:40:04
=> 10:40:04 ban 2001:db8:4::/48 few until 11:40:04
=> 11:10:01 unban 2001:db8:1::/56 ssh
=> 11:30:01 unban 2001:db8:2::/56 few
=> 11:30:06 unban 2001:db8:2:200::/56 few
=> 11:40:02 unban 2001:db8:4:100::/56 few
=> 11:40:04 unban 2001:db8:4::/48 few
=> 11:40:04 unban 2001:db8:4:200::/56 few
