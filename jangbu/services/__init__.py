"""Services that other programs provide: what runs here, who uses it, who stops it."""

from jangbu.services.membership import Endpoints, describe, join, running_incarnation, tell_prepared

__all__ = ["Endpoints", "describe", "join", "running_incarnation", "tell_prepared"]
