"""The one web application: the door for events, health and figures; pages come beside them as routes of their own."""
