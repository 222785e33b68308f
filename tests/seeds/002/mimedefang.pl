#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
# The mail server's side of document 002: its filter_sender and firewall_block, with a md_syslog that prints.
#   mimedefang.pl ADDRESS HOSTNAME
use IO::Socket;
require "./check_broadband.pl";

sub md_syslog { print "$_[0]: $_[1]\n"; }

sub firewall_block($) {
my ($blockip) = @_;
my $reply;
my $msg;
my $sock=new IO::Socket::INET ( PeerAddr =>     'gate',
                                PeerPort =>     26,
                                proto    =>     'tcp'
                                );
md_syslog('debug',"    $MsgID: Firewall server Socket connection could not be made\n") unless $sock;
if ( $sock )
  {
  $reply = <$sock>;
  md_syslog('debug',"    $MsgID: Firewall Server check: $reply\n");
  $msg="add $blockip\n";
  md_syslog('debug', "    $MsgID: Firewall - Sending $msg...");
  print $sock $msg;
  $reply = <$sock>;
  md_syslog('debug',"    $MsgID: Firewall Server response: $reply");
  shutdown $sock, 0;
  }
return 0;
}

our $MsgID = "k3J9BqAb012345";
my ($hostip, $hostname) = @ARGV;
if (check_broadband($hostip,$hostname,$MsgID)==0)
  {
  firewall_block($hostip);
  print "REJECT\n";
  }
