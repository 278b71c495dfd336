# operators, quotes, comments
// nothing
alias twice "set print_max | cat"
twice
alias twice
alias twice ""
set print_max 7 print_array on
set print_max | sed s/7/seven/
set print_max ! tr 7 8
!echo outside
alias quoted "! echo 'a | b'"
quoted
set radix 16
hex
dec
\set radix
