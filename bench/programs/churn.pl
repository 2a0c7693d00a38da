# Allocation as Perl programs do it: hashes of arrays, string building, splitting, sorting.
use strict;
use warnings;

my ($records, $rounds) = @ARGV;
my $total = 0;
for my $round (1 .. $rounds) {
  my %groups;
  for my $number (1 .. $records) {
    my $line = join(",", $number, "name$number", ($number * 7919) % 10007, "x" x ($number % 50));
    my @fields = split(/,/, $line);
    push @{ $groups{ $fields[2] } }, { id => $fields[0], name => $fields[1], rest => $fields[3] // "" };
  }
  for my $key (sort { $a <=> $b } keys %groups) {
    my $text = join(";", map { "$_->{name}=$_->{rest}" } @{ $groups{$key} });
    $text =~ s/x+/y/g;
    $total += length $text;
  }
}
print "$total\n";
