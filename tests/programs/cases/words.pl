# Hashes of arrays, regular expressions, sorting, string growth, closures and a fork.
use strict;
use warnings;
my %lists;
for my $i (0 .. 60_000) {
    push @{$lists{($i * 7919) % 997}}, "item$i" x (1 + $i % 5);
}
delete $lists{$_} for grep { $_ % 3 == 0 } keys %lists;
my $text = join ',', map { "$_:" . scalar @{$lists{$_}} } sort { $a <=> $b } keys %lists;
print length $text, ' ', substr($text, 0, 60), "\n";
(my $changed = $text) =~ s/(\d+):(\d+)/$2-$1/g;
print substr($changed, -40), "\n";
my $grown = '';
$grown .= chr(65 + $_ % 26) x 11 for 0 .. 100_000;
print length $grown, ' ', unpack('%32C*', $grown), "\n";
my @closures = map { my $n = $_; sub { $n * $_[0] } } 1 .. 1000;
my $sum = 0;
$sum += $_->(3) for @closures;
print "$sum\n";
$| = 1;
my $child = fork;
if (!$child) { print 'child ', scalar keys %lists, "\n"; exit 0 }
waitpid $child, 0;
print "exit $?\n";
