dis nosuchsymbol
dis 0
