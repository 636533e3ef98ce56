"""The front door: command line, settings, embedded services, demo. Wires the others, holds no rules."""

__version__ = "0.1.0"
