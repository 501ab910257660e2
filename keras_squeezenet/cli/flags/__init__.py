"""The flags of the commands; several of them share most."""
