"""The service: watching, deciding, running one cycle at a time in a child process; the command line."""
