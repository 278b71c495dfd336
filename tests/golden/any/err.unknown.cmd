# words that are nothing, near something or not
pss
hlep
nosuchcommand
ls
