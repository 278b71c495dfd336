sym
sym no_such_symbol
sym 1234
sym -m no_such_module
sym ffffffffffffffff
