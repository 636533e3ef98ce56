"""The door's rules: what a body brings, who may say it, how much at once, when it is durable. No web server here."""
