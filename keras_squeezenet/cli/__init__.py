"""The command line, `keras-squeezenet`: one module a command."""
