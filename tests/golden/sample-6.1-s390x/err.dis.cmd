dis nosuchsymbol
