"""The command line: parse, call, print. The only place where generator and analyses meet."""
