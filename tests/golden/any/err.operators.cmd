# operators without what they need
set >
set |
< /nonexistent/file
set > /nonexistent/folder/file
< /bin/true
set | nosuchprogram 2> /dev/null
