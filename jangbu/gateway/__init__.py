"""What runs inside a gateway's process: metering that is not felt. Needs the base dependencies alone (README.md)."""
