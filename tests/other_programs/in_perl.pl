# SQL through DBD::SQLite: in_perl.pl FILE [read_only]; see in_node.cjs for what it says.
use strict;
use warnings;
use DBI;
use DBD::SQLite::Constants ':file_open';

$| = 1;

sub say_line {
  my ($word, $text) = @_;
  $text = '' unless defined $text;
  $text =~ s/\n.*//s;
  print "$word $text\n";
}

my ($file, $mode) = @ARGV;
my %options = (RaiseError => 1, PrintError => 0);
$options{sqlite_open_flags} = SQLITE_OPEN_READONLY if ($mode // '') eq 'read_only';
my $db = eval { DBI->connect("dbi:SQLite:dbname=$file", '', '', \%options) };
$db->sqlite_busy_timeout(5000) if $db;
my $version = $db && eval { $db->selectrow_array('SELECT sqlite_version()') };
if (!$version) {
  say_line('error', $@);
  exit;
}
say_line('ok', $version);
while (my $sql = <STDIN>) {
  chomp $sql;
  my $value = eval {
    my $statement = $db->prepare($sql);
    $statement->execute;
    my $row = $statement->{NUM_OF_FIELDS} ? $statement->fetchrow_arrayref : undef;
    my $first = $row ? $row->[0] : '';
    $statement->finish;
    $first;
  };
  $@ ? say_line('error', $@) : say_line('ok', $value);
}
$db->disconnect;
