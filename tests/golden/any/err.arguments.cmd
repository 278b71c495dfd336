# options that do not exist, arguments that are missing, tasks that are not there
set -z
set -c
set -c 4711
set nosuchtask
set 99999999
set 1 2
set -a
set radix 12
set scroll sideways
set print_max many
set namelist other
foreach
foreach user kernel set
foreach nosuchname set
foreach -R schedule bt
foreach 'a[' set
help nosuchtopic
alias nosuchalias
alias nosuchalias ""
alias alias set
repeat
repeat -x set
repeat repeat set
set "unclosed
set (1
