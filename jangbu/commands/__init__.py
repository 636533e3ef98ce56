"""One module a family of commands. Each reads its options, calls the packages and prints; it holds no rules."""
