# selectors
foreach 1 kthreadd set
foreach active set
foreach UN ZO set
foreach user gleader ps
foreach kernel RU ps
foreach '^kw.*0' ps
foreach \init ps
foreach 1 ps set
foreach 'matches_nothing' ps
