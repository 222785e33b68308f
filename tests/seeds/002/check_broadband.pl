# The document's check_broadband.pl (its lines joined again, and one parenthesis that it lacks): 0 if the host is on a
# provider's customer line.
sub check_broadband {

  my ($hostip,$hostname,$MsgID) = @_;
  $exceptions{'1.1.1.1'} = 1; # permit this host

  if ( exists ( $exceptions{$hostname} ) )
    {
    md_syslog("info","$MsgID - Host $hostname($hostip) is broadband exception");
    return (1);
    }
  if ( $hostname =~ /cable./i )
    {
    md_syslog("info","$MsgID - Host $hostname is a CABLE broadband client");
    return (0);
    }
  if ( $hostname =~ /hsdl./i )
    {
    md_syslog("info","$MsgID - Host $hostname is a HSDL broadband client");
    return (0);
    }
  if ( $hostname =~ /dsl./i )
    {
    md_syslog("info","$MsgID - Host $hostname is a DSL broadband client");
    return (0);
    }
  my @ipparts=split /\./,$hostip;
  my $partcount=0;
  foreach my $part ( @ipparts )
    {
    if ( $hostname =~ /$part/ )
      {
      $partcount++;
      }
    }
  if ( $partcount==4)
    {
      md_syslog('info',"$MsgID - ** hostname $hostname has its IP in its reverse address - broadband");
      return (0);
    }
  return (1);
}
1;
