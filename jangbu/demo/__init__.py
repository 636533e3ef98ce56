"""The demo: an invented city, its month of use, a vendor's bill with planted faults, one screen of results."""
