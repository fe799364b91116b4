"""What ``python -m pencourse`` does; each module holds a command, none is imported by the library."""
