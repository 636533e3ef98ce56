"""Who is at the door of the pages: accounts, a provider, a proxy's header, tokens; sessions and what protects them."""
