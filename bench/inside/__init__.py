"""Our server with one more address, which tells what only the process itself knows: for the soak."""
